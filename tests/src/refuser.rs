//! A server that refuses whatever it is asked.
//!
//! In: the headers it refuses with. Out: its URL. Why: how long a provider wants to be left alone
//! stands in its headers, in spellings that no node of ours uses.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers 429 with these headers, each ended by a line break, until the test ends.
pub(crate) async fn refusing(headers: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its own port"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse(stream, headers));
        }
    });
    url
}

async fn refuse(mut stream: TcpStream, headers: &str) {
    let mut request = [0u8; 16_384];
    let _asked = stream.read(&mut request).await;
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
    );
    let _told = stream.write_all(answer.as_bytes()).await;
    // Until the other side has read it and gone: closing on unread bytes takes the answer back.
    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
}
