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
static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    [
        Language::English,
        Language::Czech,
        Language::French,
        Language::Italian,
        Language::Portuguese,
        Language::Spanish,
    ]
    .iter()
    .flat_map(|language| language.word_list().iter().map(|word| plain(word)))
    .collect()
});

/// Whether a seed phrase is among these words: so many in a row as BIP39's shortest phrase has, of
/// its lists but for a slip or two.
pub(crate) fn is_among<'a>(words: impl Iterator<Item = &'a str>) -> bool {
    let (mut row, mut listed) = (0usize, 0u16);
    words.into_iter().any(|word| {
        let word = plain(word);
        if !word.bytes().all(|letter| letter.is_ascii_lowercase()) {
            (row, listed) = (0, 0);
            return false;
        }
        row = row.saturating_add(1);
        listed = (listed << 1 | u16::from(WORDS.contains(&word))) & WINDOW;
        row >= SHORTEST && listed.count_ones() >= LISTED
    })
}

/// A word in small letters without their marks, which are written in two ways: with the letter or
/// behind it.
fn plain(word: &str) -> String {
    let small = word.chars().flat_map(char::to_lowercase);
    let bare = small.filter(|letter| !('\u{300}'..='\u{36f}').contains(letter));
    bare.map(|letter| match letter {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        other => other,
    })
    .collect()
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
            "ábaco abdomen abeja abierto abogado abono aborto abrazo abrir abuelo abuso academia",
            "a\u{301}baco abdomen abeja abierto abogado abono aborto abrazo abrir abuelo abuso acabar",
            "éprouver étable éteindre étoffe étoile étonnant étroit étude évasion éviter évoquer exact",
        ];
        for phrase in phrases {
            assert!(is_among(phrase.split_whitespace()), "{phrase}");
        }
        let sentences = [
            "customer sent twice from same wallet and asked that both payments stay",
            "the customer's orders stay open for half hour because they asked for that long",
            "клиент отправил дважды с одного кошелька и попросил оставить оба платежа у себя",
            "le client a payé deux fois depuis la même adresse et il veut garder les deux",
            "legal winner thank year wave sausage worth useful legal winner thank",
            "legal winner thank year wave sausage 1 worth useful legal winner thank yellow",
        ];
        for sentence in sentences {
            assert!(!is_among(sentence.split_whitespace()), "{sentence}");
        }
    }
}
