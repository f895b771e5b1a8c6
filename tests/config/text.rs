//! How the text is read: scalars, null, variables, and files from elsewhere.

use super::{MINIMAL, file_store, parse, refused};

#[test]
fn a_scalar_is_taken_as_it_is_written() {
    for id in [
        "007", "1e3", "1.50", "true", "0x1F", "\"a b\"", "$HOME", "a$$b",
    ] {
        let text = format!("{MINIMAL}candidate: {{ id: {id} }}");
        assert_eq!(parse(&text).unwrap().candidate.id, id.trim_matches('"'));
    }
}

#[test]
fn null_is_as_if_the_key_were_not_there() {
    let config = parse(&format!(
        "{MINIMAL}lease:\ncandidate: {{ id: ~, advertise: }}\n"
    ));
    assert_eq!(config, parse(MINIMAL));
}

#[test]
fn a_variable_brings_in_text_and_no_structure() {
    let text = "elections: [e]\ncandidate: { advertise: \"${A:-d} ${POD_NAME} $${POD_NAME}\" }\nstore: { file: { directory: /d } }";
    let advertise = parse(text).unwrap().candidate.advertise;
    assert_eq!(advertise.as_deref(), Some("d pod-0 ${POD_NAME}"));

    let error = refused("elections: [\"${YAML}\"]\nstore: { file: { directory: /d } }");
    assert!(error.starts_with("c.yaml:1:13: elections[0]: "), "{error}");
    let directory = parse("election: e\nstore:\n  file:\n    directory: ${NONE:-/d}").unwrap();
    assert_eq!(directory.store, file_store("/d"));
}

#[test]
fn a_file_from_windows_is_read_like_any_other() {
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    assert_eq!(parse(&text), parse(MINIMAL));
    assert_eq!(parse(&format!("---\n{MINIMAL}")), parse(MINIMAL));
}
