//! The `name:value` lines of `INFO` and `CLUSTER INFO`.

use std::collections::HashMap;

/// The fields of one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Info(HashMap<String, String>);

impl Info {
    pub(crate) fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == Some(value)
    }

    /// `slave0`, `slave1` ..: one line for each replica, as `ip=..,port=..,state=..,lag=..`.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = Replica<'_>> {
        let lines = (0..).map_while(|index| self.text(&format!("slave{index}")));
        lines.filter_map(Replica::parse)
    }
}

/// A replica as its primary sees it.
pub(crate) struct Replica<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) state: &'a str,
    pub(crate) lag_s: i64,
}

impl<'a> Replica<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let field = |name: &str| {
            line.split(',').find_map(|part| part.split_once('=').filter(|(found, _)| *found == name))
        };
        let (_, host) = field("ip")?;
        let (_, state) = field("state")?;
        let port = field("port")?.1.parse().ok()?;
        let lag_s = field("lag").and_then(|(_, lag)| lag.parse().ok()).unwrap_or(0);
        Some(Self { host, port, state, lag_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_numbers_and_replicas_are_read() {
        let info = Info::parse(
            "# Memory\r\nused_memory:10\r\nratio:nan\r\nslave0:ip=::1,port=7,state=online,offset=3,lag=2\r\n",
        );
        assert_eq!(info.number("used_memory"), Some(10.0));
        assert_eq!(info.number("ratio"), None);
        let replica = info.replicas().next().unwrap();
        assert_eq!((replica.host, replica.port, replica.state, replica.lag_s), ("::1", 7, "online", 2));
    }
}
