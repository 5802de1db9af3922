//! The providers' words and what they mean: a table of formats, and the recorded bodies.

use serde_json::json;

use super::*;

/// A class without what it carries.
fn kind(class: &Class) -> &'static str {
    match class {
        Class::Shrink { .. } => "shrink",
        Class::Behind => "behind",
        Class::Unsupported => "unsupported",
        Class::Rate { .. } => "rate",
        Class::Timeout => "timeout",
        Class::Caller => "caller",
        Class::Batch => "batch",
        Class::Down => "down",
        Class::Lie => "lie",
        Class::Unknown => "unknown",
    }
}

#[test]
fn the_words_decide() {
    let said = |code: i64, message: &str| {
        classify(&Answer { code: Some(code), message, ..Answer::default() }).class
    };
    // The formats in which nodes refuse, with other numbers than the recorded ones.
    for (code, message, expected, hint) in [
        (-32005, "query returned more than 500 results", "shrink", None),
        (-32005, "Too many logs requested. Max logs per response is 7.", "shrink", None),
        (-32602, "query exceeds max results 7, retry with the range 100-149", "shrink", Some(50)),
        (-32602, "range 90 exceeds limit of 60", "shrink", Some(60)),
        (-32614, "eth_getLogs is limited to a 1,234 range", "shrink", Some(1_234)),
        (-32701, "exceed maximum block range: 77", "shrink", Some(77)),
        (35, "ranges over 77 blocks are not supported on freetier", "shrink", Some(77)),
        (-32600, "block range is too wide", "shrink", None),
        (
            -32000,
            "requested too many blocks from 1 to 500, maximum is set to 77",
            "shrink",
            Some(77),
        ),
        (-32000, "eth_getLogs range is too large, max is 3k blocks", "shrink", Some(3_000)),
        (-32005, "limit exceeded", "unsupported", None),
        (
            -32601,
            "the method eth_getBlockReceipts does not exist/is not available",
            "unsupported",
            None,
        ),
        (-32602, "Archive requests require a personal token", "unsupported", None),
        (-32000, "missing trie node 0xab", "unsupported", None),
        (
            -32602,
            "block range extends beyond current head block: requested 9, head 8",
            "behind",
            None,
        ),
        (-32000, "unknown block", "behind", None),
        (-39001, "Unknown block", "behind", None),
        (-32000, "finalized block not found", "behind", None),
        (-32602, "invalid block range params", "caller", None),
        (-32029, "Too Many Requests", "rate", None),
        (-32005, "daily request count exceeded, request rate limited", "rate", None),
        (-32000, "query timeout exceeded", "timeout", None),
        (-32000, "batch too large", "batch", None),
        (-32600, "batch requests are not supported", "batch", None),
        (-32603, "oh no", "down", None),
        (-32000, "oh no", "unknown", None),
    ] {
        let class = said(code, message);
        assert_eq!(kind(&class), expected, "{message}: {class:?}");
        if let Class::Shrink { hints } = &class {
            assert_eq!(hints.first().copied(), hint, "{message}");
        }
    }
}

#[test]
fn the_status_comes_before_the_code_and_after_the_words() {
    let body = |status, body: &str| of_body(Some(status), body, None).class;
    assert_eq!(kind(&body(429, "")), "rate");
    assert_eq!(kind(&body(413, "<html>too big</html>")), "shrink");
    assert_eq!(kind(&body(502, "<html>Bad Gateway</html>")), "down");
    assert_eq!(kind(&body(403, "{\"message\":\"Forbidden\"}")), "down");
    assert_eq!(kind(&body(504, "")), "timeout");
    let too_wide = json!({"error": {"code": -32600, "message": "up to a 10 block range"}});
    let answered = format!("{too_wide}\nrequest id 12345");
    assert_eq!(body(400, &answered), Class::Shrink { hints: vec![10, 10] });
    let waits = of_body(Some(429), "busy", Some(Duration::from_secs(7))).class;
    assert_eq!(waits, Class::Rate { after: Some(Duration::from_secs(7)) });
    let infura = json!({"error": {"code": -32005, "message": "project ID request rate exceeded; \
        request limit", "data": {"rate": {"backoff_seconds": 1.5}}}});
    let waits = of_body(Some(429), &infura.to_string(), None).class;
    assert_eq!(waits, Class::Rate { after: Some(Duration::from_millis(1500)) });
}

#[test]
fn reasons_are_short_and_whole() {
    let refusal = of_body(Some(500), &"x".repeat(5000), None);
    assert_eq!(refusal.why.len(), WHY_LIMIT);
    let error = json!({"error": {"code": -32000, "message": "unknown  block\n"}}).to_string();
    assert_eq!(of_body(None, &error, None).why, "-32000 unknown block");
}

/// Says what was replayed where the harness keeps back what a test prints: CI's log has it.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// How many blocks each recorded refusal that names a number, or a range, can be read to allow.
const SPANS: [(&str, &[u64]); 19] = [
    ("infura result-count", &[0x0102_dbcc - 0x00bd_e5f8 + 1]),
    ("infura block-range", &[10_000]),
    ("alchemy response size", &[13_648_825, 2_000]),
    ("alchemy free tier", &[10]),
    ("quicknode", &[10_000]),
    ("publicnode (range)", &[50_000]),
    ("drpc free block-range", &[10_000]),
    ("1rpc.io", &[1_000]),
    ("tenderly", &[2_000]),
    ("zksync era", &[0x0119_8cc3 - 0x0118_dc91 + 1]),
    ("geth >=1.16", &[1_000]),
    ("reth result-count", &[346]),
    ("reth block-range", &[100_000]),
    ("erigon 3.4+ block-range", &[1_000]),
    ("cloudflare", &[800]),
    ("blast paid", &[5_000]),
    ("coinbase", &[1_000]),
    ("merkle.io", &[1_000]),
    ("avalanche", &[2_048]),
];

/// The recorded bodies of forty providers; the recordings are not part of the repository.
#[test]
fn recorded_refusals_are_classified() {
    let Some(folder) = std::env::var_os("BURSAR_RECORDINGS") else {
        say("replayed 0 recorded refusals: BURSAR_RECORDINGS is not set");
        return;
    };
    let path = std::path::Path::new(&folder).join("errors/evm_getlogs_error_bodies.json");
    let entries: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut hinted = Vec::new();
    for entry in &entries {
        let noted = entry["kind"].as_str().unwrap();
        let noted = format!("{} {noted}", entry["provider"].as_str().unwrap()).to_lowercase();
        let has = |word: &str| noted.contains(word);
        let expected = match () {
            () if has("rate limit:") => "rate",
            () if has("timeout") => "timeout",
            () if has("depth") || has("every range") => "unsupported",
            () if has("head") || has("does not have it") => "behind",
            () if has("from>to") || has("too many addresses") => "caller",
            () => "shrink",
        };
        let status = entry["http_status"].as_u64().map(|status| u16::try_from(status).unwrap());
        let body = entry["body"].to_string();
        let refusal = of_body(status, &body, None);
        assert_eq!(kind(&refusal.class), expected, "{noted}: {refusal:?}");
        // Inside a body that came with 200 the same words must be found by the decoder as well.
        let Err(decoded) = crate::decode::logs(
            body.as_bytes(),
            &crate::Token::new(payments::address::Address([0; 20])),
            &[],
            |_| Ok(()),
        ) else {
            panic!("{noted} decodes as logs");
        };
        assert_eq!(kind(&Refusal::from(decoded).class), expected, "{noted}");
        if let Class::Shrink { mut hints } = refusal.class {
            hints.dedup();
            let told = SPANS.iter().find(|(of, _)| noted.starts_with(of));
            assert_eq!(hints, told.map_or(&[][..], |(_, spans)| spans), "{noted}");
            hinted.extend((!hints.is_empty()).then_some(noted));
        }
    }
    assert_eq!(hinted.len(), SPANS.len(), "{hinted:?}");
    say(&format!("replayed {} recorded refusals", entries.len()));
}
