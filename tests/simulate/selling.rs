//! An order that fails alone is given up, as others are accepted beside it.

use std::time::Duration;

use super::script::stubborn_order;
use super::world::World;

impl World {
    /// Others are accepted all the time, until the order is given up that fails alone.
    pub(crate) fn sell(&mut self) -> Result<(), String> {
        let Some(partition) = self.stubborn else { return Ok(()) };
        self.come_to_rest()?;
        self.stubborn = None;
        let order = stubborn_order(partition);
        let end = self.kafka.lock().unwrap().audit.script[partition].events.len();
        while self.kafka.lock().unwrap().audit.partitions[partition].owed.iter().any(|(owed, _)| *owed == order) {
            if self.produced[partition] == end {
                return Err(format!("{order} is never given up"));
            }
            self.produced[partition] += 1;
            for _ in 0..4 {
                self.step(Duration::from_millis(100))?;
            }
        }
        Ok(())
    }
}
