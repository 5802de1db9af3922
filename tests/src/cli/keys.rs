//! API keys sit inside endpoint URLs. No command tells them, however the endpoint fails and
//! however much is logged. `Counter::run` searches all that is printed; here it is made to talk.

use lab::evm::{Fault, Methods};

use super::counter::{Counter, KEY, Running, create};

const TRACE: [(&str, &str); 1] = [("BURSAR_LOG", "trace")];
/// The part of the socket's crate that writes its request whole, asked for by its name.
const HANDSHAKE: [(&str, &str); 1] = [("BURSAR_LOG", "info,tungstenite::handshake=trace")];

/// Every command that speaks to a node, or reads the config.
fn commands() -> Vec<Vec<&'static str>> {
    let tx = "0xabababababababababababababababababababababababababababababababab";
    vec![
        vec!["check"],
        vec!["migrate"],
        create("K-1", &["--amount=5"]),
        vec!["order", "list"],
        vec!["order", "show", "A-1"],
        vec!["explain", "A-1"],
        vec!["explain", tx],
        vec!["rescan", "--chain=ethereum", "--from=13", "--to=20"],
        vec!["rescan", "--chain=ethereum", "--tx", tx],
        vec!["record", "--chain=ethereum", "--out=tape.jsonl", "--blocks=1"],
        vec!["ledger", "verify"],
    ]
}

async fn talk(counter: &Counter) {
    for arguments in commands() {
        for json in [&[][..], &["--json"]] {
            for level in [&TRACE, &HANDSHAKE] {
                counter.run_with(&[json, &arguments].concat(), level).await;
            }
        }
    }
}

#[tokio::test]
async fn not_while_all_is_well() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    talk(&counter).await;
    let tape = std::fs::read_to_string(counter.path("tape.jsonl")).expect("the tape");
    assert!(!tape.contains(KEY));
}

#[tokio::test]
async fn not_while_endpoints_fail() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    let echo = format!("{{\"error\":\"project {KEY} is over its quota at /v3/{KEY}\"}}");
    for (http_status, body) in [
        (401, echo.clone()),
        (403, format!("<html>{KEY} is suspended</html>")),
        (429, echo.clone()),
        (
            200,
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":$ID,\"error\":{{\"code\":-32000,\"message\":\"key {KEY}\"}}}}"
            ),
        ),
        (200, format!("{{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":\"{KEY}\"}}")),
        (200, KEY.to_owned()),
    ] {
        let methods = Methods::all();
        counter.node.fault(Fault::Error { methods, http_status, body: body.clone(), times: None });
        talk(&counter).await;
        counter.node.heal();
        // Its answer is read by other code than those before it, which are well then.
        if http_status == 200 {
            let methods = Methods::only(&["eth_getLogs"]);
            counter.node.fault(Fault::Error { methods, http_status, body, times: None });
            talk(&counter).await;
            counter.node.heal();
        }
    }
    counter.node.fault(Fault::Drop { methods: Methods::all(), times: None });
    talk(&counter).await;
    counter.node.heal();
    counter.node.stop().await;
    talk(&counter).await;
}

/// What is recorded is kept, also where it failed; a provider's words about the key are not.
#[tokio::test]
async fn not_on_a_tape() {
    let counter = Counter::open().await;
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":$ID,\"error\":{{\"code\":-32005,\"message\":\"{KEY} is over\"}}}}"
    );
    let methods = Methods::only(&["eth_getBlockByNumber"]);
    counter.node.fault(Fault::Error { methods, http_status: 200, body, times: None });
    let asked = ["record", "--chain=ethereum", "--out=tape.jsonl"];
    assert_eq!(counter.run(&asked).await.code, 1);
    let tape = std::fs::read_to_string(counter.path("tape.jsonl")).expect("the tape");
    assert!(tape.contains("… is over") && !tape.contains(KEY), "{tape}");
}

#[tokio::test]
async fn not_over_tls_or_a_websocket() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    for scheme in ["https://", "wss://", "ws://"] {
        counter.write_with("http://", scheme);
        talk(&counter).await;
    }
    counter.write_with("http://", "http://user:passw0rd-");
    for arguments in commands() {
        let said = counter.run_with(&arguments, &TRACE).await;
        assert!(!said.err.contains("passw0rd") && !said.out.contains("passw0rd"), "{said:?}");
    }
}

#[tokio::test]
async fn not_by_the_daemon() {
    let counter = Counter::open().await;
    let (http, socket) = (counter.node.http_url(), counter.node.ws_url());
    let both = format!(
        "{}\n[[chains.ethereum.endpoints]]\nname = \"bell\"\nurl = \"{socket}/ws/{KEY}\"\n",
        counter.config()
    );
    counter.write(&both);
    for json in [&[][..], &["--json"]] {
        let mut daemon = Running::start(&counter, &[json, &["run"]].concat(), &TRACE);
        daemon.hears("watching").await;
        counter.chain.mine_empty(1);
        daemon.hears("recorded").await;
        counter.node.fault(Fault::CutWebSockets);
        counter.node.stop().await;
        daemon.hears("this turn failed").await;
        counter.node.restart().await.expect("the port is free");
        assert_eq!(daemon.stop().await, 0);
        let heard = daemon.heard.join("\n");
        assert!(heard.contains(&http), "the host is told, so that a person knows which one");
        let told: Vec<&str> = heard.lines().filter(|line| line.contains(KEY)).collect();
        assert!(told.is_empty(), "the daemon tells the key: {told:#?}");
    }
}

/// A database URL may hold a password.
#[tokio::test]
async fn not_the_password_of_the_database() {
    let counter = Counter::bare().await;
    for url in ["shop:passw0rd@127.0.0.1:port/books", "shop:passw0rd@127.0.0.1/books?sslmode=odd"] {
        counter.write_with("sqlite:books.db", &format!("postgres://{url}"));
        for arguments in [["order", "list"], ["check", "--json"]] {
            let said = counter.run_with(&arguments, &TRACE).await;
            assert!(!said.err.contains("passw0rd") && !said.out.contains("passw0rd"), "{said:?}");
            assert_ne!(said.code, 0, "{arguments:?}");
        }
    }
}
