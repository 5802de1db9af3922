//! Whether a text holds a seed phrase.
//!
//! In: words. Out: yes or no. Never: the words repeated, or a sentence taken for a phrase because
//! its words are short. Why: what a person writes down as a reason may be as long as a phrase, and
//! a phrase that is typed by mistake must not be stored.

use std::collections::HashSet;
use std::sync::LazyLock;

use bip39::Language;

/// The words of BIP39's shortest phrase.
const SHORTEST: usize = 12;
/// How many of so many words in a row stand in the lists, at least: one or two may be misspelled.
const LISTED: u32 = 10;
/// The last words in a row, a bit each.
const WINDOW: u16 = (1 << SHORTEST) - 1;

/// The words of every list that is written with Latin letters.
static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    [
        Language::English,
        Language::Czech,
        Language::French,
        Language::Italian,
        Language::Portuguese,
        Language::Spanish,
    ]
    .iter()
    .flat_map(|language| language.word_list().iter().copied())
    .collect()
});

/// Whether a seed phrase is among these words: so many in a row as BIP39's shortest phrase has, of
/// its lists but for a slip or two.
pub(crate) fn is_among<'a>(words: impl Iterator<Item = &'a str>) -> bool {
    let (mut row, mut listed) = (0usize, 0u16);
    words.into_iter().any(|word| {
        if !word.chars().all(char::is_alphabetic) {
            (row, listed) = (0, 0);
            return false;
        }
        row = row.saturating_add(1);
        listed = (listed << 1 | u16::from(is_listed(word))) & WINDOW;
        row >= SHORTEST && listed.count_ones() >= LISTED
    })
}

/// Letters with a mark are written in two ways; no list has a word of another alphabet.
fn is_listed(word: &str) -> bool {
    let lower = word.to_lowercase();
    WORDS.contains(lower.as_str()) || !lower.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_and_sentences_are_not() {
        let phrases = [
            "test test test test test test test test test test test junk",
            "Legal winner thank year wave sausage worth useful legal winner thank yellow",
            // Misspelled, among other words, in another language.
            "my words: legal winer thank year wave sausage worth usefull legal winner thank yellow",
            "ábaco abdomen abeja abierto abogado abono aborto abrazo abrir abuelo abuso acabar",
        ];
        for phrase in phrases {
            assert!(is_among(phrase.split_whitespace()), "{phrase}");
        }
        let sentences = [
            "customer sent twice from same wallet and asked that both payments stay",
            "the customer's orders stay open for half hour because they asked for that long",
            "legal winner thank year wave sausage worth useful legal winner thank",
            "legal winner thank year wave sausage 1 worth useful legal winner thank yellow",
        ];
        for sentence in sentences {
            assert!(!is_among(sentence.split_whitespace()), "{sentence}");
        }
    }
}
