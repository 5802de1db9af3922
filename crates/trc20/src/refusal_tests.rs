//! Each complaint a server was seen to make, and its class.

use super::*;

fn class(status: u16, body: &str) -> Option<Class> {
    of(status, body.as_bytes()).map(|refusal| refusal.class)
}

fn silent(seconds: u64) -> Option<Class> {
    Some(Class::Rate { after: Some(Duration::from_secs(seconds)) })
}

#[test]
fn a_throttled_endpoint_says_for_how_long() {
    for (status, body, seconds) in [
        (
            429,
            r#"{"Error":"The key exceeds the frequency limit(15), and the query server is suspended for 30 s"}"#,
            30,
        ),
        (
            403,
            r#"{"Error":"The key exceeds the frequency limit(15), and the query server is suspended for 27 s"}"#,
            27,
        ),
        (
            429,
            r#"{"Success":false,"Error":"The key exceeds the frequency limit(15), and the query server is suspended for 30s","StatusCode":429}"#,
            30,
        ),
        (
            429,
            r#"{"Error":"request rate of (x) exceeded the allowed_rps(1), and the query server is suspended for 5 s. To obtain"}"#,
            5,
        ),
        (
            429,
            "request rate exceeded the allowed_rps(3), and the query server is suspended for 1 s",
            1,
        ),
        (
            200,
            r#""request rate exceeded the allowed_rps(3), and the query server is suspended for 2s""#,
            2,
        ),
        (429, r#"{"Error":"suspended for 99999999 s"}"#, 3_600),
    ] {
        assert_eq!(class(status, body), silent(seconds), "{body}");
    }
    let unknown = Some(Class::Rate { after: None });
    assert_eq!(class(429, ""), unknown);
    assert_eq!(class(429, r#"{"Error":"suspended for ever"}"#), unknown);
    let busy =
        r#"{"Error":"class java.lang.IllegalAccessException : lack of computing resources"}"#;
    assert_eq!(class(200, busy), unknown);
}

#[test]
fn an_error_with_status_200_is_an_error() {
    for (status, body, expected) in [
        (200, r#"{"Error":"id must be legal block hash."}"#, Class::Caller),
        (
            200,
            r#"{"Error":"class org.tron.core.services.http.JsonFormat$ParseException : 1:11: INVALID hex String"}"#,
            Class::Caller,
        ),
        (
            200,
            r#"{"Error":"class com.alibaba.fastjson.JSONException : expect ':' at 0"}"#,
            Class::Caller,
        ),
        (200, r#"{"Error":"class java.lang.NullPointerException : null"}"#, Class::Down),
        (
            405,
            "<html><head><title>Error 405 HTTP method POST is not supported by this URL</title>",
            Class::Unsupported,
        ),
        (
            200,
            r#"{"result":"null","id":"getblock.io","status_code":405,"message":"Method not allowed"}"#,
            Class::Unsupported,
        ),
        (400, "", Class::Caller),
        (400, r#"{"success":false,"error":"Invalid limit","statusCode":400}"#, Class::Caller),
        (403, "", Class::Down),
        (401, r#"{"Error":"ApiKey not exists"}"#, Class::Down),
        (302, "", Class::Down),
        (502, "<html>bad gateway</html>", Class::Down),
        (504, "", Class::Timeout),
    ] {
        assert_eq!(class(status, body), Some(expected), "{status} {body}");
    }
    let refusal = of(405, b"<html>\n<title>Error 405 not supported by this URL</title>").unwrap();
    assert_eq!(refusal.why, "HTTP 405 Error 405 not supported by this URL");
}

#[test]
fn an_answer_is_no_error() {
    for body in [
        "{}",
        "[]",
        r#"{"blockID":"00","block_header":{}}"#,
        r#"{"result":{"result":true},"constant_result":["06"]}"#,
        r#"{"data":[],"success":true,"meta":{"at":1}}"#,
        r#"{"id":"00","result":"FAILED","resMessage":"5245"}"#,
    ] {
        assert_eq!(class(200, body), None, "{body}");
    }
    // A block that speaks of errors is a block.
    let long = format!(r#"{{"Error":"x","pad":"{}"}}"#, "0".repeat(COMPLAINT_LIMIT));
    assert_eq!(class(200, &long), None);
}
