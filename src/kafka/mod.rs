//! Edge: everything that names rdkafka.
