//! A PostgreSQL server for the tests: one for the process, one fresh database for each caller.
//!
//! In: `BURSAR_TEST_POSTGRES`, the URL of a server whose user may create databases; or, without
//! it, the programs of Debian's `postgresql` package. Out: URLs. Never: a skipped test; where
//! there is no PostgreSQL the test fails. Why: the second engine is proved or it is not supported.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A fresh, empty database, dropped with this value.
#[derive(Debug)]
pub struct Database {
    /// Where it is.
    pub url: String,
    name: String,
}

/// A fresh, empty database.
///
/// # Panics
/// Where there is no PostgreSQL.
pub async fn database() -> Database {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("bursar_{}_{count}", std::process::id());
    administer(format!("CREATE DATABASE {name}")).await;
    let server = server();
    let (base, options) = server.split_once('?').unwrap_or((server, ""));
    let (base, _) = base.rsplit_once('/').expect("a database in the URL of the server");
    Database { url: format!("{base}/{name}?{options}"), name }
}

async fn administer(statement: String) {
    let mut connection = PgConnection::connect(server()).await.expect("the PostgreSQL server");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a database");
    connection.close().await.expect("a closed connection");
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // A runtime cannot be blocked on from within itself, so another thread does it.
        let drop = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(administer(statement));
        });
        drop.join().expect("the database is dropped");
    }
}

/// The URL of the server's own database.
fn server() -> &'static str {
    static SERVER: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (url, _) = SERVER.get_or_init(|| match std::env::var("BURSAR_TEST_POSTGRES") {
        Ok(url) => (url, None),
        Err(_) => {
            let (url, child) = start();
            (url, Some(child))
        }
    });
    url
}

/// Starts a cluster that ends, and is removed, when this process does, however it does: the shell
/// that owns it reads from a pipe that only this process holds open.
fn start() -> (String, Child) {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("bursar-pg-").tempdir().expect("a folder").keep();
    let user = as_user(&folder);
    let script = format!(
        "set -e; cd '{folder}'; {user} '{programs}/initdb' -D data -A trust -U postgres \
           --no-sync >initdb.log 2>&1 </dev/null\n\
         {user} '{programs}/postgres' -D data -k '{folder}' -c listen_addresses='' \
           -c max_connections=200 >server.log 2>&1 </dev/null &\n\
         until '{programs}/pg_isready' -q -h '{folder}'; do kill -0 $! || exit 1; done\n\
         echo ready; set +e; read -r end; kill -INT $!; wait; rm -rf '{folder}'",
        folder = folder.display(),
        programs = programs.display(),
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    let output = child.stdout.take().expect("its output");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("a line");
    assert_eq!(line.trim(), "ready", "the PostgreSQL server in {} did not start", folder.display());
    (format!("postgres://postgres@localhost/postgres?host={}", folder.display()), child)
}

/// The newest installed PostgreSQL.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| -> u32 {
        path.file_name().and_then(|name| name.to_str()).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let newest = versions.map(|entry| entry.path()).max_by_key(version);
    newest
        .expect("PostgreSQL: install Debian's `postgresql`, or set BURSAR_TEST_POSTGRES")
        .join("bin")
}

/// PostgreSQL refuses to be run by root: then its own user runs it.
fn as_user(folder: &std::path::Path) -> &'static str {
    let root = Command::new("id").arg("-u").output().expect("id").stdout == b"0\n";
    if !root {
        return "";
    }
    let owned = Command::new("chown").arg("postgres").arg(folder).status().expect("chown");
    assert!(owned.success(), "the user `postgres` owns {}", folder.display());
    "setpriv --reuid=postgres --regid=postgres --clear-groups"
}
