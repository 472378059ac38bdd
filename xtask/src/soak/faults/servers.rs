//! A primary and its replicas, each behind a network that can fail, and what is done to them.

use std::net::SocketAddr;

use mainstay_testkit::{ChaosProxy, Postgres, PostgresNode};

use super::{Blow, Fault, REPLICAS, WELL};

/// The servers, with a network in front of each that can fail.
pub(super) struct Servers {
    servers: Postgres,
    pub(super) networks: Vec<ChaosProxy>,
    pub(super) database: String,
}

impl Servers {
    pub(super) fn start() -> Self {
        let servers = Postgres::launch().replicas(REPLICAS).start();
        let network = |node: &PostgresNode| {
            ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], node.port())))
        };
        let networks =
            std::iter::once(servers.primary()).chain(servers.replicas()).map(network).collect();
        let database = servers.create_database();
        servers.wait_replicated(WELL);
        Self { servers, networks, database }
    }

    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let name = |place| match place {
            0 => "DATABASE_PRIMARY_URL".to_owned(),
            n => format!("DATABASE_REPLICA_{n}_URL"),
        };
        let url = |network: &ChaosProxy| {
            format!("postgres://app@{}/{}", network.address(), self.database)
        };
        self.networks.iter().enumerate().map(|(place, n)| (name(place), url(n))).collect()
    }

    pub(super) fn node(&self, place: usize) -> &PostgresNode {
        match place {
            0 => self.servers.primary(),
            n => &self.servers.replicas()[n - 1],
        }
    }

    pub(super) fn strike(&self, fault: Fault) {
        match fault.blow {
            Blow::Kill | Blow::Promote => self.node(fault.server).kill(),
            Blow::Stop => self.node(fault.server).pause(),
            Blow::Cut => self.networks[fault.server].cut(),
            Blow::Silence => self.networks[fault.server].half_open(),
        }
    }

    pub(super) fn mend(&self, fault: Fault) {
        match fault.blow {
            Blow::Kill => self.node(fault.server).restart(),
            Blow::Stop => self.node(fault.server).resume(),
            Blow::Cut | Blow::Silence => self.networks[fault.server].heal(),
            Blow::Promote => {
                self.node(1).promote();
                self.node(2).follow(self.node(1));
            }
        }
    }

    /// Who takes changes in the end, and who else must answer.
    pub(super) fn list_well(fault: Fault) -> (usize, Vec<usize>) {
        match fault.blow {
            Blow::Promote => (1, vec![1, 2]),
            _ => (0, vec![0, 1, 2]),
        }
    }
}
