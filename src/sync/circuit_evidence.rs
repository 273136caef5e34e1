//! Pure: why a circuit is open or an app suspended; the evidence of an outage and of a reject storm, kept in as many places as the rules ask for and no more.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::FixedState;

use super::circuit::{CircuitRules, Failure, Tried};

/// One order, by the hash of its id: what sets of orders hold. Two orders that share one are counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPrint(pub u64);

impl OrderPrint {
    /// The print of this order id.
    pub fn of(order_id: &str) -> Self {
        Self(FixedState::default().hash_one(order_id))
    }
}

/// Why an app is suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The platform refuses the app's pushes.
    Refused {
        /// The rule that says so.
        rule: Arc<str>,
        /// The platform's code.
        err_code: Option<i64>,
    },
    /// The platform gives the app no token.
    NoToken {
        /// The rule that says so.
        rule: Arc<str>,
        /// The platform's code.
        err_code: Option<i64>,
    },
    /// Every order is rejected.
    Rejections {
        /// How many distinct ones in a row.
        orders: usize,
        /// The last one's code.
        err_code: Option<i64>,
    },
}

impl Cause {
    /// For people; no secret in it.
    pub fn words(&self) -> String {
        let code = |err_code: &Option<i64>| err_code.map_or_else(String::new, |code| format!(", code {code}"));
        match self {
            Self::Refused { rule, err_code } => format!("rule {rule}{}", code(err_code)),
            Self::NoToken { rule, err_code } => format!("no token: rule {rule}{}", code(err_code)),
            Self::Rejections { orders, err_code } => {
                format!("{orders} orders in a row were rejected, none accepted{}", code(err_code))
            }
        }
    }
}

/// What has opened a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// Orders whose pushes failed.
    Pushes,
    /// Tokens that could not be fetched, while there was none to push with.
    Fetches,
}

/// Failures since the platform last answered an order for good.
#[derive(Debug)]
pub(super) struct Outage {
    /// The orders that failed last, each once, at most as many as the rules ask for.
    orders: Vec<(OrderPrint, Duration)>,
    most: usize,
    in_a_row: u32,
    fresh_in_a_row: u32,
    first_at: Duration,
    answered_at: Option<Duration>,
}

impl Outage {
    pub(super) fn new(most: usize) -> Self {
        Self {
            orders: Vec::with_capacity(most),
            most,
            in_a_row: 0,
            fresh_in_a_row: 0,
            first_at: Duration::ZERO,
            answered_at: None,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn answered(&mut self, now: Duration) {
        self.answered_at = Some(now);
        self.in_a_row = 0;
        self.fresh_in_a_row = 0;
        self.orders.clear();
    }

    pub(super) fn failed(&mut self, failure: &Failure, now: Duration) {
        let order = failure.order;
        if self.in_a_row == 0 {
            self.first_at = now;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.fresh_in_a_row = self.fresh_in_a_row.saturating_add(u32::from(failure.tried == Tried::First));
        if let Some(known) = self.orders.iter_mut().find(|(known, _)| *known == order) {
            known.1 = now;
        } else if self.orders.len() < self.most {
            self.orders.push((order, now));
        } else if let Some(oldest) = self.orders.iter_mut().min_by_key(|(_, at)| *at) {
            *oldest = (order, now);
        }
    }

    /// Whether enough orders failed within a window in which nothing was answered, and often enough: a few failures
    /// on a quiet app may be chance. Of 20 attempts that fail by chance one time in five, all fail once in 10^14.
    pub(super) fn is_proven(&self, rules: &CircuitRules, now: Duration) -> bool {
        let silent = self.answered_at.is_none_or(|at| now.saturating_sub(at) >= rules.window);
        let lasting = now.saturating_sub(self.first_at) >= rules.window;
        let recent = self.orders.iter().filter(|(_, at)| now.saturating_sub(*at) <= rules.window);
        silent && (self.in_a_row >= rules.failed_attempts || lasting) && recent.count() >= rules.failed_orders
    }

    /// Whether a platform that had just come back is away again. It answered within the window, so that failures in a
    /// row must tell; and of deliveries that had never been tried, for those that had may be poison, and all that is left.
    pub(super) fn is_back(&self, rules: &CircuitRules, now: Duration) -> bool {
        self.fresh_in_a_row >= rules.failed_attempts || self.is_proven(rules, now)
    }
}

/// Distinct orders rejected since the app's last acceptance.
#[derive(Debug)]
pub(super) struct Rejections {
    orders: Vec<(OrderPrint, Option<i64>)>,
    most: usize,
}

impl Rejections {
    pub(super) fn new(most: usize) -> Self {
        Self { orders: Vec::with_capacity(most), most }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn clear(&mut self) {
        self.orders.clear();
    }

    pub(super) fn note(&mut self, order: OrderPrint, code: Option<i64>) {
        if self.orders.len() < self.most && self.orders.iter().all(|(known, _)| *known != order) {
            self.orders.push((order, code));
        }
    }

    /// Takes out what an operator has called right.
    pub(super) fn forgive(&mut self, codes: &[i64]) {
        self.orders.retain(|(_, code)| code.is_none_or(|code| !codes.contains(&code)));
    }

    pub(super) fn is_storm(&self) -> bool {
        self.orders.len() >= self.most
    }
}
