//! Edge: the strict fake Douyin that users run in their own staging and CI.
