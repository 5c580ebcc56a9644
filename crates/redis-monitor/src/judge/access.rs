//! The server's age, its commands, and what it does not tell.

use super::Case;
use crate::report::Severity::{Critical, Note};
use crate::signal::{MISSING_COMMAND, MISSING_RIGHT, NOT_TOLD, SERVER_TOO_OLD};

pub(super) fn judge(case: &mut Case<'_>) {
    let now = case.now;
    let version = now.version.as_ref();
    if let Some(old) = version.filter(|version| !version.is_new_enough()) {
        case.find(Critical, &SERVER_TOO_OLD, old.to_string());
    }
    if let Some(rights) = &now.rights {
        for (signal, commands) in [(&MISSING_COMMAND, &rights.missing), (&MISSING_RIGHT, &rights.refused)] {
            if !commands.is_empty() {
                case.find(Critical, signal, commands.join(", "));
            }
        }
    }
    let unknown = [
        (now.settings.is_none(), "CONFIG is forbidden: save, appendfsync and slowlog-log-slower-than"),
        (now.slow.is_none(), "SLOWLOG is forbidden: slow commands"),
        (now.spikes.is_none(), "LATENCY is forbidden: spikes"),
        // A server that is too old to be asked is a finding already.
        (now.rights.is_none() && version.is_some_and(|v| v.is_new_enough()), "EVAL failed: rights"),
        (now.cluster.is_none() && now.info.is("cluster_enabled", "1"), "CLUSTER INFO is forbidden: slots"),
    ];
    for (_, what) in unknown.into_iter().filter(|(is, _)| *is) {
        case.find(Note, &NOT_TOLD, format!("{what} unknown"));
    }
}
