//! Prometheus, Alertmanager and Grafana as code: the rules, their tests and runbooks belong together, the real programs take
//! them, and an attack that is replayed comes out of the real Alertmanager.

mod dashboards;
mod files;
mod live;
mod names;
mod servers;
mod webhook;
