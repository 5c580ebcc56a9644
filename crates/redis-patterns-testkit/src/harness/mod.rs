//! A Redis handle for each test.
