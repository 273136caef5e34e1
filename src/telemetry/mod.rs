//! One type per operational event: its log line and its metric together.
