//! How many blocks an endpoint is asked for at once.
//!
//! In: what it answered and what it refused. Out: the next span, from 1. Never: a hint believed
//! that does not make the span smaller. Why: limits differ by provider, plan and day, and are
//! told in words; a span that adapts needs none of them configured.

/// No window is larger, whatever the endpoint would answer: it is held in memory whole.
pub(crate) const SPAN_LIMIT: u64 = 4_096;
/// A window whose logs weigh more, in bytes, is not made larger, and one of twice as much is made
/// smaller: several are held at once, and reading one keeps its thread from everything else.
const HEAVY: usize = 8 << 20;
/// A span grows after this many answers in a row.
const GROW_AFTER: u32 = 3;
/// A span that was refused is tried again after this many answers in a row: how many logs a block
/// holds changes, and a plan does.
const RETRY_AFTER: u32 = 48;

/// The adaptive span of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    blocks: u64,
    /// One less than the smallest span that was refused lately.
    ceiling: u64,
    /// Answers in a row.
    answered: u32,
}

impl Span {
    pub(crate) fn new(blocks: u64) -> Self {
        Self { blocks: blocks.clamp(1, SPAN_LIMIT), ceiling: SPAN_LIMIT, answered: 0 }
    }

    /// How many blocks to ask for.
    pub(crate) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// A question for `asked` blocks was answered.
    pub(crate) fn answered(&mut self, asked: u64) {
        if asked < self.blocks {
            return;
        }
        self.answered = self.answered.saturating_add(1);
        if self.blocks >= self.ceiling {
            if self.answered < RETRY_AFTER {
                return;
            }
            self.ceiling = grown(self.ceiling);
        }
        if self.answered >= GROW_AFTER {
            self.answered = 0;
            self.blocks = grown(self.blocks).min(self.ceiling);
        }
    }

    /// An answer of so many bytes came; told before [`Self::answered`].
    pub(crate) fn weighed(&mut self, bytes: usize) {
        if bytes > HEAVY {
            self.answered = 0;
        }
        if bytes > HEAVY.saturating_mul(2) {
            self.blocks = (self.blocks >> 1).max(1);
        }
    }

    /// A question for `asked` blocks was refused. The first of `hints` that is smaller is taken;
    /// without one the span is halved.
    pub(crate) fn refused(&mut self, asked: u64, hints: &[u64]) {
        self.answered = 0;
        self.ceiling = self.ceiling.min(asked.saturating_sub(1)).max(1);
        let hint = hints.iter().copied().find(|hint| (1..asked).contains(hint));
        let next = hint.unwrap_or(asked >> 1);
        // Several windows are under way: one that was asked earlier must not undo the others.
        self.blocks = self.blocks.min(next).max(1);
    }

    /// A question was refused in words nobody knows: one block at a time from here.
    pub(crate) const fn unknown(&mut self) {
        self.answered = 0;
        self.blocks = 1;
    }
}

fn grown(blocks: u64) -> u64 {
    blocks.saturating_add((blocks >> 2).max(1)).min(SPAN_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_smaller_hint_is_taken() {
        for (asked, hints, next) in [
            (1000, &[100][..], 100),
            (1000, &[1000, 5000, 0, 40], 40),
            (1000, &[1000], 500),
            (1000, &[], 500),
            (3, &[], 1),
            (1, &[1], 1),
        ] {
            let mut span = Span::new(asked);
            span.refused(asked, hints);
            assert_eq!(span.blocks(), next, "{asked} {hints:?}");
        }
    }

    #[test]
    fn it_grows_slowly_and_not_past_the_limit() {
        let mut span = Span::new(100);
        span.answered(100);
        span.answered(100);
        assert_eq!(span.blocks(), 100);
        span.answered(100);
        assert_eq!(span.blocks(), 125);
        // The short last window of a catch-up proves nothing about longer ones.
        for _ in 0..10 {
            span.answered(3);
        }
        assert_eq!(span.blocks(), 125);
        for _ in 0..1000 {
            span.answered(span.blocks());
        }
        assert_eq!(span.blocks(), SPAN_LIMIT);
    }

    #[test]
    fn a_refused_span_is_rarely_tried_again() {
        let mut span = Span::new(1000);
        let (mut refused, limit) = (0u32, 10);
        for _ in 0..1000 {
            let asked = span.blocks();
            if asked > limit {
                refused += 1;
                span.refused(asked, &[limit]);
            } else {
                span.answered(asked);
            }
        }
        assert!(span.blocks() >= limit - 1 && refused < 40, "{span:?} after {refused}");
    }

    #[test]
    fn it_stays_where_answers_are_heavy() {
        let mut span = Span::new(64);
        for _ in 0..1000 {
            let asked = span.blocks();
            span.weighed(usize::try_from(asked).unwrap() * 60_000);
            span.answered(asked);
        }
        assert!((120..=280).contains(&span.blocks()), "{span:?}");
        span.weighed(usize::MAX);
        assert!(span.blocks() <= 140, "{span:?}");
    }

    #[test]
    fn it_recovers_when_the_limit_is_lifted() {
        let mut span = Span::new(1000);
        span.refused(1000, &[]);
        for _ in 0..3000 {
            span.answered(span.blocks());
        }
        assert_eq!(span.blocks(), SPAN_LIMIT);
    }
}
