//! What is set on the command line, over the file.

use super::{MINIMAL, millis, parse_set};
use tenure::config::StoreConfig;

#[test]
fn overrides_go_over_the_file_in_their_order() {
    let set = |overrides: &[&str]| parse_set(MINIMAL, overrides).unwrap();
    assert_eq!(set(&["candidate.id=b"]).candidate.id, "b");
    assert_eq!(
        set(&["candidate.id=b", "candidate.id=c=d"]).candidate.id,
        "c=d"
    );
    assert_eq!(set(&["candidate.id='*b'"]).candidate.id, "*b");
    assert_eq!(
        set(&["candidate.id=${NONE} # x"]).candidate.id,
        "${NONE} # x"
    );
    assert_eq!(
        set(&["candidate.id=b", "candidate=null"]).candidate.id,
        "pod-0"
    );
    assert_eq!(set(&["elections=[a, b]"]).elections, ["a", "b"]);
    assert_eq!(set(&["elections=[a, b]", "election=c"]).elections, ["c"]);
    assert_eq!(set(&["lease={ttl: 20s}"]).timing.ttl(), millis(20_000));
    assert_eq!(
        set(&["http.api=[::1]:4040"]).http.api.to_string(),
        "[::1]:4040"
    );
    assert_eq!(
        set(&["http.api=localhost:1"]).http.api.to_string(),
        "127.0.0.1:1"
    );

    let moved = set(&["store.file=null", "store.etcd.endpoints=[http://a:2379]"]);
    let StoreConfig::Etcd(etcd) = moved.store else {
        panic!("{:?}", moved.store)
    };
    assert_eq!(etcd.endpoints, ["http://a:2379"]);
}

#[test]
fn an_override_frees_a_value_of_its_variable() {
    let text = "election: ${NONE}\nstore: { file: { directory: /d } }";
    let config = parse_set(text, &["election=payments"]).unwrap();
    assert_eq!(config.elections, ["payments"]);
    assert_eq!(
        parse_set("", &["election=e", "store.file.directory=/d"])
            .unwrap()
            .elections,
        ["e"]
    );
}
