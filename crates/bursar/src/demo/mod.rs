//! `bursar demo`: payments to watch, with no set-up and no network.
//!
//! In: nothing. Out: a scripted chain on loopback, the real daemon, a story on the terminal.
//! Never: another code path than the daemon's; exit 0 only if every order ended as scripted.
//! Why: the product in one minute, and a smoke test of the whole line on any machine.

mod scenes;
mod stage;

use std::path::{Path, PathBuf};

use payments::order::Dossier;
use serde_json::json;
use tokio::sync::watch;

use crate::cli::Demo;
use crate::error::Error;
use crate::output::{Output, line, table};
use crate::view::micro;
use scenes::End;
use stage::{Ended, Stage};

/// Plays the demo.
///
/// # Errors
/// When an order did not end as its script says, or a loopback port or the folder cannot be had.
pub async fn run(
    options: &Demo,
    output: Output,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let scratch =
        tempfile::tempdir().map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
    let folder = match &options.keep {
        None => scratch.path().to_owned(),
        Some(folder) => empty_folder(folder)?,
    };
    let mut stage = Stage::set(&folder, options.fast, output.json).await?;
    let wanted = tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => {
            return Err(Error::Failed("stopped before its end".to_owned()));
        }
        wanted = scenes::play(&mut stage, options.serve) => wanted?,
    };
    let (books, nodes) = stage.close().await?;
    let (ended, wrong) = judged(&books, &wanted).await?;
    if output.json {
        let orders: Vec<_> =
            ended.iter().map(|dossier| books.view.order_json(dossier, &[])).collect();
        output.print(&json!({ "orders": orders, "wrong": wrong }), String::new)?;
    } else {
        line(&closing(&ended, &wrong, &books.balances().await?, options.keep.as_deref()))?;
    }
    books.store.close().await;
    if options.serve && wrong.is_empty() {
        line("\nThe chains are there until you press Ctrl-C.\n")?;
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
    nodes.stop().await;
    verdict(&wrong)
}

fn verdict(wrong: &[String]) -> Result<(), Error> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failed(wrong.join("; "))) }
}

/// How the orders ended, and what is not as their script says or as the rules have it.
async fn judged(books: &Ended, wanted: &[End]) -> Result<(Vec<Dossier>, Vec<String>), Error> {
    let (mut ended, mut wrong) = (Vec::new(), Vec::new());
    for end in wanted {
        let dossier = books.order(end.order).await?;
        if let Some(why) = end.differs(&dossier) {
            wrong.push(format!("order {}: {why}", end.order));
        }
        ended.push(dossier);
    }
    let findings = books.store.verify().await?;
    wrong.extend(findings.iter().map(|found| format!("ledger: {} {}", found.name, found.detail)));
    Ok((ended, wrong))
}

fn empty_folder(folder: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(crate::error::input("--keep", format!("{} is not empty", folder.display())));
    }
    folder.canonicalize().map_err(failed)
}

fn closing(
    ended: &[Dossier],
    wrong: &[String],
    balances: &[(String, String, i128)],
    kept: Option<&Path>,
) -> String {
    let rows: Vec<Vec<String>> = ended
        .iter()
        .map(|dossier| {
            let cases: Vec<&str> = dossier.cases.iter().map(|case| case.kind.word()).collect();
            vec![
                dossier.order.id.to_string(),
                dossier.status().word().to_owned(),
                dossier.order.due.map_or_else(|| "any".to_owned(), |due| due.to_string()),
                dossier.deposits.len().to_string(),
                cases.join(", "),
            ]
        })
        .collect();
    let mut text = String::from("\nHow the orders ended\n\n");
    text.push_str(&table(&["order", "status", "due", "deposits", "open cases"], &rows));
    text.push_str("\nThe books (credits less debits)\n\n");
    let rows: Vec<Vec<String>> = balances
        .iter()
        .map(|(account, asset, net)| vec![account.clone(), asset.clone(), micro(*net)])
        .collect();
    text.push_str(&table(&["account", "asset", "balance"], &rows));
    if wrong.is_empty() {
        text.push_str("\nEvery journal balances, every order ended as its script says.\n\n");
    } else {
        text.push_str(&format!("\nNot as the script says:\n  {}\n\n", wrong.join("\n  ")));
    }
    if let Some(folder) = kept {
        let config = folder.join("bursar.toml");
        text.push_str(&format!(
            "The books are kept. Look into them:\n  \
             bursar --config {0} order show TEAM-1\n  \
             bursar --config {0} explain PACK-1\n  \
             bursar --config {0} explain TRON-2\n  \
             bursar --config {0} ledger entries\n\n",
            config.display()
        ));
    }
    text.push_str(
        "How to go on\n  \
         bursar init     writes a commented bursar.toml\n  \
         bursar check    says what is wrong with it\n  \
         bursar migrate  makes the database\n  \
         bursar run      starts the daemon\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_that_ends_otherwise_is_named_and_no_success() {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = Stage::set(folder.path(), true, true).await.unwrap();
        let mut wanted = scenes::play(&mut stage, false).await.unwrap();
        let (books, nodes) = stage.close().await.unwrap();
        let told = async |wanted: &[End]| {
            let (ended, wrong) = judged(&books, wanted).await.unwrap();
            let text = closing(&ended, &wrong, &books.balances().await.unwrap(), None);
            assert!(wrong.iter().all(|why| text.contains(why)), "{text}");
            assert_eq!(verdict(&wrong).is_ok(), wrong.is_empty());
            (wrong, text.contains("every order ended as its script says"))
        };
        assert_eq!(told(&wanted).await, (Vec::new(), true));
        let (first, second) = (wanted[0].order, wanted[1].order);
        (wanted[0].order, wanted[1].order) = (second, first);
        let (wrong, well) = told(&wanted).await;
        let named = [second, first].map(|order| format!("order {order}: "));
        assert!(wrong.len() == 2 && !well, "{wrong:?}");
        assert!(wrong.iter().zip(&named).all(|(why, named)| why.starts_with(named)), "{wrong:?}");
        books.store.close().await;
        nodes.stop().await;
    }
}
