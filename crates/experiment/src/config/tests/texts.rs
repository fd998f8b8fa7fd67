//! JSON as people write it: marks, comments, words that are no numbers, keys that stand twice.

use super::super::{Source, Study};
use super::{authors_file, load, load_bytes, refused};

const STUDY: &str = r#"{
  "base": "short-run",
  "variants": [
    {"name": "a"},
    {"name": "b", "set": ["langevin.steps=60"]}
  ]
}"#;

/// Some editors put it before the text.
#[test]
fn a_byte_order_mark_changes_nothing() {
    let json = r#"{"data": {"source": "gmm"}}"#;
    let marked = |text: &str| format!("\u{feff}{text}");
    assert_eq!(load(&marked(json), &[]).unwrap(), load(json, &[]).unwrap());
    let theirs = std::fs::read_to_string(authors_file("gmm_convergent")).unwrap();
    assert_eq!(
        load(&marked(&theirs), &[]).unwrap(),
        load(&theirs, &[]).unwrap()
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.json");
    std::fs::write(&path, marked(STUDY)).unwrap();
    let source = Source::File(path);
    let text = source.read().unwrap();
    for text in [text, marked(STUDY)] {
        assert!(Study::is_meant_by(&text));
        let study = Study::parse(&source, &text, &[]).unwrap();
        assert_eq!(study.config.variants.len(), 2);
    }
}

#[test]
fn other_encodings_are_named() {
    let json = r#"{"data": {"source": "gmm"}}"#;
    let units: Vec<u16> = json.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for bytes in [
        [b"\xff\xfe", &little[..]].concat(),
        [b"\xfe\xff", &big[..]].concat(),
        little,
        big,
    ] {
        refused(
            load_bytes(&bytes, &[]),
            &["mine.json: is written in UTF-16", "save it as UTF-8"],
        );
    }
    let latin = b"{\n  \"description\": \"Universit\xe4t\"}";
    refused(
        load_bytes(latin, &[]),
        &[
            "mine.json: is not written in UTF-8, as line 2 column 28 shows",
            "save it as UTF-8",
        ],
    );
}

/// What people write into JSON that JSON does not have, and what they are told.
#[test]
fn what_json_does_not_have_is_said_with_its_place_and_the_fix() {
    let wrong = [
        (
            "{\n  // steps\n  \"seed\": 1\n}",
            "line 2 column 3: JSON has no comments; take it out",
        ),
        (
            "{\"seed\": 1 /* one */}",
            "line 1 column 12: JSON has no comments",
        ),
        (
            "# mine\n{\"seed\": 1}",
            "line 1 column 1: JSON has no comments",
        ),
        (
            "{\"seed\": 1,\n}",
            "line 1 column 11: a comma before the closing }; take the comma out",
        ),
        (
            "{\"a\": [1, 2, ]}",
            "line 1 column 12: a comma before the closing ]",
        ),
        (
            "{\"seed\": 1,,\"a\": 2}",
            "line 1 column 12: a second comma",
        ),
        (
            "{\"description\": \"λ\", \"seed\": NaN}",
            "line 1 column 30: JSON has no NaN; write a finite number",
        ),
        (
            "{\"seed\": -Infinity}",
            "line 1 column 10: JSON has no -Infinity",
        ),
        ("{\"seed\": inf}", "line 1 column 10: JSON has no inf"),
        (
            "{\"a\": True}",
            "line 1 column 7: write true in small letters",
        ),
        ("{\"a\": None}", "line 1 column 7: write null"),
        (
            "{\"a\": .5}",
            "line 1 column 7: .5 is not written as a number",
        ),
        (
            "{\"a\": 1.}",
            "line 1 column 7: 1. is not written as a number",
        ),
        (
            "{\"a\": +1}",
            "line 1 column 7: +1 is not written as a number",
        ),
        ("{'a': 1}", "line 1 column 2: ' is no quote of JSON"),
        ("{“a”: 1}", "line 1 column 2: “ is no quote of JSON"),
        (
            "{seed: 1}",
            "line 1 column 2: seed stands without quotes; write \"seed\"",
        ),
        (
            "{\"seed\u{a0}\":\u{a0}1}",
            "line 1 column 10: the character U+00A0",
        ),
        (
            "{\"a\": \"b,\n \"c\": 1}",
            "line 1 column 7: the text that begins here has no closing \"",
        ),
        (
            "{\"a\": {\"b\": 1}\n",
            "line 2 column 1: it ends here, before all of its brackets are closed",
        ),
        ("seed = 1", "line 1 column 1: it does not begin with {"),
        ("  \n", "line 2 column 1: it is empty"),
        // What the parser says is kept where the fault is of another kind.
        (
            "{\"a\": 1\n\"b\": 2}",
            "expected `,` or `}` at line 2 column 1",
        ),
        (
            "{\"a\": 1\n\"b\": NaN}",
            "expected `,` or `}` at line 2 column 1",
        ),
        ("{\"a\": 1} {}", "trailing characters at line 1 column 10"),
    ];
    for (text, words) in wrong {
        let message = load(text, &[]).unwrap_err().to_string();
        let expected = format!("mine.json: not valid JSON: {words}");
        let (_, message) = message.split_at(message.find("mine.json").unwrap());
        assert!(message.starts_with(&expected), "{text}: {message}");
    }
    refused(
        Study::parse(
            &Source::File("s.json".into()),
            &STUDY.replace("60\"]}", "60\"]},"),
            &[],
        ),
        &["s.json: not valid JSON: line 5 column 48: a comma before the closing ]"],
    );
}

#[test]
fn what_stands_in_quotes_is_no_comment() {
    let json =
        r#"{"data": {"source": "gmm"}, "description": "see https://a.b/c, # 1, \" // ', }"}"#;
    let config = load(json, &[]).unwrap();
    assert_eq!(config.description, r#"see https://a.b/c, # 1, " // ', }"#);
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let twice = |text: &str, parts: &[&str]| refused(load(text, &[]), parts);
    twice(
        "{\"data\": {\"source\": \"gmm\"},\n\"seed\": 1,\n\n\"seed\": 2}",
        &[
            "mine.json: \"seed\" stands in line 2 and again in line 4",
            "take the other out",
        ],
    );
    twice(
        r#"{"data": {"source": "gmm"}, "langevin": {"steps": 1, "epsilon": 0.1, "steps": 1}}"#,
        &["mine.json: \"langevin.steps\" stands twice in line 1"],
    );
    // However it is written.
    twice(
        r#"{"data": {"source": "gmm"}, "seed": 1, "\u0073eed": 1}"#,
        &["\"seed\" stands twice"],
    );
    // The same name in another section, or as a value, is another thing.
    load(
        r#"{"data": {"source": "gmm"}, "description": "data", "long_run": {"every": 5, "steps": 5, "start": "data"},
            "langevin": {"steps": 9}}"#,
        &[],
    )
    .unwrap();
    let theirs = std::fs::read_to_string(authors_file("gmm_convergent")).unwrap();
    assert!(theirs.matches("\"_comment\"").count() > 1);
    load(&theirs, &[]).unwrap();
    twice(
        &theirs.replace("\"seed\"", "\"batch_size\": 5, \"seed\""),
        &["mine.json: \"batch_size\" stands in line"],
    );
    let study = STUDY.replace("{\"name\": \"a\"}", "{\"name\": \"a\",\n\"name\": \"c\"}");
    assert!(Study::is_meant_by(&study));
    refused(
        Study::parse(&Source::File("s.json".into()), &study, &[]),
        &["s.json: \"variants[0].name\" stands in line 4 and again in line 5"],
    );
    let argument = r#"landscape={"samples": 100, "samples": 200}"#;
    refused(
        load(r#"{"data": {"source": "gmm"}}"#, &[argument]),
        &[argument, ": \"landscape.samples\" stands twice"],
    );
}
