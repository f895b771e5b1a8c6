//! `${NAME}` and `${NAME:-default}` in a value: the environment's part of the config.
//!
//! Only scalars are looked at, after the YAML was parsed, so a variable can't bring in more than the text of one value.

/// Looks a variable up; `None` where it isn't set.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text with every variable replaced. As in a shell the default also stands in for an empty variable;
/// `$${` stands for `${`, and every other `$` for itself.
pub(super) fn interpolate(text: &str, env: Env<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = from.find('}') else {
            return Err(format!(
                "{from:?} has no closing brace; write ${{NAME}}, or $${{ for a literal ${{"
            ));
        };
        out.push_str(&variable(&from[2..end], env)?);
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The text that [`interpolate`] leaves as `text`.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

fn variable(inner: &str, env: Env<'_>) -> Result<String, String> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_name(name) {
        return Err(format!(
            "\"${{{inner}}}\" names no variable; write ${{NAME}} or ${{NAME:-default}}, or $${{ for a literal ${{"
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "{name} is not set in the environment; set it, or write ${{{name}:-default}}"
        )),
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_env(text: &str) -> Result<String, String> {
        interpolate(text, &|name| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("${A}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_once_and_every_other_dollar_stays() {
        for (text, expected) in [
            ("x${A}y${A}", "xaya"),
            ("${NONE:-d}", "d"),
            ("${NONE:-}", ""),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("${A:-d}", "a"),
            ("${DOLLAR}", "${A}"),
            ("$A $$ $", "$A $$ $"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$${A} ${A}", "${A} a"),
        ] {
            assert_eq!(in_env(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_escaped_text_comes_back_as_it_was() {
        for text in ["${A}", "$${A}", "$$${A}${", "$", "plain"] {
            assert_eq!(in_env(&escape(text)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["${", "a${A", "${}", "${1}", "${A-d}", "${A B}", "${NONE}"] {
            assert!(in_env(text).is_err(), "{text}");
        }
    }
}
