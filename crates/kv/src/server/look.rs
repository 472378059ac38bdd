//! Who is part of the store, and how it is. Only asks.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_base::Timestamp;
use redis::{Value, cmd};

use super::Server;
use super::call::OnMove;
use super::link::{Link, To, address};
use super::state::Handle;
use crate::engine::timed;
use crate::health::{Health, Node, Role};

/// A server of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_primary: bool,
}

/// Slots that lie together.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) slots: std::ops::RangeInclusive<usize>,
    pub(super) primary: Member,
}

impl Server {
    pub(crate) async fn health(&self) -> Health {
        let Some(handle) = self.state.handle() else { return self.away() };
        let (time, took) = (self.settings.answer_within.0, timed());
        let generation = self.names.generation();
        let get = cmd("GET").arg(&generation).to_owned();
        // Not by its answer alone: a call that is late here is late for everybody.
        if self.call::<Value>(&handle, To::Primary(&generation), get, time).await.is_err() {
            return self.away();
        }
        let latency = Some(took());
        let nodes = self.list_nodes(&handle).await;
        Health { ok: true, latency, nodes, since: None, reason: None }
    }

    /// Why memory answers, as it was last found out, and since when it is known.
    pub(crate) fn why_away(&self) -> Option<(Option<Timestamp>, String)> {
        if self.state.handle().is_some() {
            return None;
        }
        let (since, reason) = self.state.away().unzip();
        Some((since, reason.unwrap_or_else(|| "not connected yet".to_owned())))
    }

    fn away(&self) -> Health {
        let (since, reason) = self.state.away().unzip();
        let reason = reason.or_else(|| Some("no answer in time".to_owned()));
        Health { ok: false, latency: None, nodes: self.list_named(), since, reason }
    }

    /// The servers of the settings, of which nothing more is known.
    fn list_named(&self) -> Vec<Node> {
        let node =
            |address: &String| Node { address: address.clone(), role: Role::Unknown, ok: false };
        self.settings.nodes.iter().map(node).collect()
    }

    async fn list_nodes(&self, handle: &Handle) -> Vec<Node> {
        if let Link::Single(_) = handle.link {
            let address = self.settings.nodes.first().cloned().unwrap_or_default();
            return vec![Node { address, role: Role::Primary, ok: true }];
        }
        let Some(members) = self.list_members(handle).await.filter(|found| !found.is_empty())
        else {
            return self.list_named();
        };
        let asked = members.iter().map(|member| self.ask_member(handle, member));
        let alive = join_all(asked).await;
        let nodes = members.iter().zip(alive).map(|(member, ok)| Node {
            address: address(&member.host, member.port),
            role: if member.is_primary { Role::Primary } else { Role::Replica },
            ok,
        });
        nodes.collect()
    }

    async fn ask_member(&self, handle: &Handle, member: &Member) -> bool {
        let (to, time) = (To::Node(&member.host, member.port), self.settings.answer_within.0);
        self.send::<Value>(handle, to, &cmd("PING"), time, OnMove::Wait).await.is_ok()
    }

    /// The servers of the cluster as one of them sees it, in order.
    pub(super) async fn list_members(&self, handle: &Handle) -> Option<Vec<Member>> {
        let time: Duration = self.settings.answer_within.0;
        let slots = cmd("CLUSTER").arg("SLOTS").to_owned();
        let to = To::Primary("");
        let answer: Value = self.send(handle, to, &slots, time, OnMove::Wait).await.ok()?;
        Some(self.read_members(&answer))
    }

    pub(super) fn read_members(&self, answer: &Value) -> Vec<Member> {
        members(answer, self.unnamed())
    }

    pub(super) fn read_ranges(&self, answer: &Value) -> Vec<Range> {
        ranges(answer, self.unnamed())
    }

    fn unnamed(&self) -> &str {
        self.settings.nodes.first().map_or("", |node| host_of(node))
    }
}

/// `CLUSTER SLOTS`: per range its first and last slot, then its servers, the primary first. A server that knows no name of its
/// own, or gives none, is looked for where the first server of the settings is.
fn members(answer: &Value, unnamed: &str) -> Vec<Member> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    let mut found = Vec::new();
    for range in ranges {
        let Value::Array(range) = range else { continue };
        for (place, server) in range.iter().skip(2).enumerate() {
            found.extend(member(server, place == 0, unnamed));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The ranges of `CLUSTER SLOTS` that have a primary.
fn ranges(answer: &Value, unnamed: &str) -> Vec<Range> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    let range = |range: &Value| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), primary, ..] = &**range else { return None };
        let slots = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
        Some(Range { slots, primary: member(primary, true, unnamed)? })
    };
    ranges.iter().filter_map(range).collect()
}

fn member(server: &Value, is_primary: bool, unnamed: &str) -> Option<Member> {
    let Value::Array(server) = server else { return None };
    let (host, Value::Int(port)) = (server.first()?, server.get(1)?) else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() && host != b"?" => {
            String::from_utf8(host.clone()).ok()?
        }
        Value::BulkString(_) | Value::Nil => unnamed.to_owned(),
        _ => return None,
    };
    Some(Member { host, port: u16::try_from(*port).ok()?, is_primary })
}

/// The part of an address before its port.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_name_is_looked_for_where_the_first_one_is() {
        let server = |host: Value, port| Value::Array(vec![host, Value::Int(port)]);
        let named = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        let range = |servers: Vec<Value>| {
            let slots = [Value::Int(0), Value::Int(9)];
            Value::Array(slots.into_iter().chain(servers).collect())
        };
        let answer = Value::Array(vec![
            range(vec![server(named(""), 1), server(Value::Nil, 2), server(named("?"), 5)]),
            range(vec![server(named("b"), 3), server(Value::Okay, 4), server(named("b"), 99_999)]),
            Value::Nil,
        ]);
        let found = members(&answer, host_of("[::1]:7000"));
        let found: Vec<_> =
            found.iter().map(|found| (&*found.host, found.port, found.is_primary)).collect();
        assert_eq!(found, [("::1", 1, true), ("::1", 2, false), ("::1", 5, false), ("b", 3, true)]);
        let ranges: Vec<_> = ranges(&answer, "a").iter().map(|range| range.primary.port).collect();
        assert_eq!(ranges, [1, 3]);
        assert_eq!((host_of("a:1"), host_of("a")), ("a", "a"));
    }
}
