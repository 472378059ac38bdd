//! How keys and channels are called in the store. Only names.

/// Names within one namespace.
#[derive(Clone, Debug)]
pub(super) struct Names {
    namespace: String,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// A value. Those of another generation are not reached any more and expire.
    pub(super) fn value(&self, generation: u64, key: &str) -> String {
        format!("{}{key}", self.values(generation))
    }

    /// Begins the name of every value of a generation.
    pub(super) fn values(&self, generation: u64) -> String {
        format!("{}:v{generation}:", self.namespace)
    }

    /// The number of the generation.
    pub(super) fn generation(&self) -> String {
        format!("{}:generation", self.namespace)
    }

    pub(super) fn counter(&self, name: &str) -> String {
        format!("{}:c:{name}", self.namespace)
    }

    pub(super) fn lease(&self, name: &str) -> String {
        format!("{}:l:{name}", self.namespace)
    }

    /// A channel. The braces keep it and what belongs to it in one slot.
    pub(super) fn channel(&self, name: &str) -> String {
        format!("{}:m:{{{name}}}", self.namespace)
    }

    /// The number of a channel's last message.
    pub(super) fn sequence(&self, channel: &str) -> String {
        format!("{}:n", self.channel(channel))
    }

    /// There while somebody sent a heartbeat lately.
    pub(super) fn beat(&self, channel: &str) -> String {
        format!("{}:b", self.channel(channel))
    }

    /// The channel that the store calls so.
    pub(super) fn find_channel<'a>(&self, called: &'a str) -> Option<&'a str> {
        let rest = called.strip_prefix(self.namespace.as_str())?;
        rest.strip_prefix(":m:{")?.strip_suffix('}')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_found_by_what_the_store_calls_it() {
        let names = Names::new("n");
        assert_eq!(names.find_channel(&names.channel("a.b")), Some("a.b"));
        assert_eq!(names.find_channel("other:m:{a}"), None);
        assert_eq!(names.find_channel(&names.sequence("a")), None);
    }
}
