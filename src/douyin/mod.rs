//! Pure: the platform's side: the order detail, the request, byte limits, and the judgement of every answer.

pub mod verdict;
