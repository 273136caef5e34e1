//! Which push meets which fault: rules with probabilities and targets, drawn from the seed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use super::fault::Fault;

/// All faults that are switched on. The first rule that hits decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// The rules, in order.
    pub rules: Vec<FaultRule>,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// What is added to it, evenly between nothing and this.
    pub jitter: Duration,
}

/// A fault with its probability and its target, as text `FAULT[=PROBABILITY][@TARGET]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// The fault.
    pub fault: Fault,
    /// 0 to 1, per push.
    pub probability: f64,
    /// Whom it may hit.
    pub target: Target,
    /// The fault as text, for history and report.
    name: Arc<str>,
}

/// Whom a rule may hit.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Every push.
    Pushes,
    /// `@app:ID`: the pushes of one app.
    App(String),
    /// `@ID` or `@order:ID`: the pushes of one order.
    Order(String),
    /// `@1%`: this fraction of the orders, always the same ones under one seed.
    OrderFraction(f64),
    /// `@token`: the token endpoints.
    Tokens,
}

/// The fractions of `mixed:P`, in per cent of P.
const MIXED: &[(&str, f64)] = &[
    ("code:-1", 20.0),
    ("http:503", 14.0),
    ("reset", 10.0),
    ("reset+applied", 10.0),
    ("late:300ms", 9.0),
    ("cut-json+applied", 8.0),
    ("html", 5.0),
    ("http:502+applied", 5.0),
    ("cut-body+applied", 5.0),
    ("string-code+applied", 5.0),
    ("throttle:1", 4.0),
    ("slow:200ms", 2.0),
    ("huge+applied", 2.0),
    ("silent+applied", 1.0),
];

impl FaultRule {
    /// A rule that hits every time.
    pub fn new(fault: Fault, target: Target) -> Self {
        Self { name: fault.to_string().into(), fault, probability: 1.0, target }
    }

    /// The same rule with this probability, 0 to 1.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn hits(&self, app: &str, order: &str, chance: Chance) -> bool {
        match &self.target {
            Target::Pushes => true,
            Target::App(id) => id == app,
            Target::Order(id) => id == order,
            Target::OrderFraction(fraction) => chance.of(b"fraction").share() < *fraction,
            Target::Tokens => false,
        }
    }
}

impl Faults {
    /// Rules as text, comma-separated: `mixed:20%`, or `code:-1=5%,reset+applied=2%,code:40003@ORDER-1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut faults = Self::default();
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            faults.add(rule)?;
        }
        Ok(faults)
    }

    /// Adds one rule, or the preset `mixed:P`, written as text.
    pub fn add(&mut self, rule: &str) -> Result<(), String> {
        if let Some(share) = rule.strip_prefix("mixed:") {
            let (share, target) = split_target(share)?;
            let share = probability(share)?;
            // The rules are drawn one after another, so each gets its fraction of what those before it left over.
            let mut left = 1.0;
            for (fault, percent) in MIXED {
                let part = share * percent / 100.0;
                let rule = FaultRule::new(fault.parse()?, target.clone());
                self.rules.push(rule.with_probability((part / left).min(1.0)));
                left -= part;
            }
        } else {
            self.rules.push(rule.parse()?);
        }
        Ok(())
    }

    /// The fault of the n-th push of an order.
    pub(super) fn pick(&self, seed: Chance, app: &str, order: &str, n: u64) -> Option<&FaultRule> {
        if self.rules.is_empty() {
            return None;
        }
        let order_chance = seed.of(app.as_bytes()).of(order.as_bytes());
        let push_chance = order_chance.nth(n);
        let mut rules = self.rules.iter().zip(0_u64..);
        let hit = rules
            .find(|(rule, at)| rule.hits(app, order, order_chance) && push_chance.nth(*at).share() < rule.probability);
        hit.map(|(rule, _)| rule)
    }

    /// The fault of the n-th token request of an app.
    pub(super) fn pick_for_token(&self, seed: Chance, n: u64) -> Option<&FaultRule> {
        let chance = seed.of(b"token").nth(n);
        let mut rules = self.rules.iter().zip(0_u64..).filter(|(rule, _)| rule.target == Target::Tokens);
        rules.find(|(rule, at)| chance.nth(*at).share() < rule.probability).map(|(rule, _)| rule)
    }

    /// How long the answer to the n-th push of an order takes.
    pub(super) fn delay(&self, seed: Chance, order: &str, n: u64) -> Duration {
        if self.jitter.is_zero() {
            return self.latency;
        }
        self.latency + self.jitter.mul_f64(seed.of(b"jitter").of(order.as_bytes()).nth(n).share())
    }
}

impl FromStr for FaultRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, target) = split_target(text)?;
        let (fault, share) = rest.rsplit_once('=').map_or((rest, None), |(fault, share)| (fault, Some(share)));
        let share = share.map_or(Ok(1.0), probability)?;
        Ok(Self::new(fault.parse()?, target).with_probability(share))
    }
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.probability < 1.0 {
            write!(f, "={}%", percent(self.probability))?;
        }
        match &self.target {
            Target::Pushes => Ok(()),
            Target::App(id) => write!(f, "@app:{id}"),
            Target::Order(id) => write!(f, "@order:{id}"),
            Target::OrderFraction(fraction) => write!(f, "@{}%", percent(*fraction)),
            Target::Tokens => f.write_str("@token"),
        }
    }
}

fn split_target(text: &str) -> Result<(&str, Target), String> {
    let Some((rest, target)) = text.split_once('@') else { return Ok((text, Target::Pushes)) };
    let target = match target {
        "" => return Err(format!("{text:?} names no target after @")),
        "token" => Target::Tokens,
        fraction if fraction.ends_with('%') => Target::OrderFraction(probability(fraction)?),
        id => match id.strip_prefix("app:") {
            Some(app) => Target::App(app.to_owned()),
            None => Target::Order(id.strip_prefix("order:").unwrap_or(id).to_owned()),
        },
    };
    Ok((rest, target))
}

fn probability(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').map_or_else(|| text.parse(), |p| p.parse::<f64>().map(|p| p / 100.0));
    number
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("{text:?} is no probability; write 5% or 0.05"))
}

fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_written() {
        for text in [
            "code:-1=5%",
            "code:40022/担保交易支付订单不存在",
            "reset+applied=2.5%",
            "late:6s@order:A-1",
            "throttle:3@1%",
            "http:503=50%@token",
            "inner:2@app:tt1",
            "slow:200ms",
            "evict",
        ] {
            assert_eq!(text.parse::<FaultRule>().unwrap().to_string(), text);
        }
        for text in ["", "code:0", "code", "http:99", "late:6", "reset=120%", "code:1@", "late:1s+applied", "boom"] {
            assert!(text.parse::<FaultRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn mixed_adds_up() {
        let total: f64 = MIXED.iter().map(|(_, percent)| percent).sum();
        assert!((total - 100.0).abs() < 1e-9);
        let faults = Faults::parse("mixed:20%").unwrap();
        let hits = (0..20_000).filter(|n| faults.pick(Chance::new(1), "tt1", &n.to_string(), 0).is_some()).count();
        assert!((3_800..4_200).contains(&hits), "{hits}");
    }

    #[test]
    fn a_fraction_of_orders_always_fails() {
        let faults = Faults::parse("code:40003@10%").unwrap();
        let fails = |order: u32, n| faults.pick(Chance::new(1), "tt1", &order.to_string(), n).is_some();
        let failing = (0..2_000).filter(|order| fails(*order, 0)).count();
        assert!((150..250).contains(&failing), "{failing}");
        assert!((0..2_000).all(|order| fails(order, 0) == fails(order, 9)));
    }
}
