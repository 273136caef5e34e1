//! The page at `/`: the order centre for people.
//!
//! It is one file without outside resources; all it shows comes from `/_sandbox/`, and goes into the page as text.

use hyper::{Method, StatusCode};

use super::answer::Answer;

const PAGE: &str = include_str!("page.html");

/// The page.
pub(super) fn serve(method: &Method) -> Answer {
    if method == Method::GET || method == Method::HEAD {
        Answer::html(StatusCode::OK, PAGE)
    } else {
        Answer::explain(StatusCode::METHOD_NOT_ALLOWED, "GET only")
    }
}

#[cfg(test)]
mod tests {
    use super::PAGE;

    #[test]
    fn has_no_outside_resources_and_writes_text_only() {
        for banned in
            ["http://", "https://", "src=", "innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("]
        {
            assert!(!PAGE.contains(banned), "{banned}");
        }
        assert!(PAGE.contains("default-src 'none'"));
    }
}
