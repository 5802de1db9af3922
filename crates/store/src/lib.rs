//! The books: SQLite or PostgreSQL through sqlx.
