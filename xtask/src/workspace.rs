//! What cargo knows about this workspace, from `cargo metadata`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cargo::cargo;
use crate::failure::{Context, Failure};

/// The folders of the five patterns. A folder keeps its name even if its package must change it.
pub(crate) const PATTERNS: [&str; 5] =
    ["redis-ratelimit", "redis-lock", "redis-idem", "redis-session", "redis-queue"];

/// The members of the workspace, in dependency order: core before those that stand on it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) members: Vec<Member>,
}

/// One crate of ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) publish: bool,
    pub(crate) description: bool,
    pub(crate) keywords: bool,
    pub(crate) license: bool,
    pub(crate) features: Vec<String>,
    /// Kind (`test`, `bench`, `bin` ...) and name of each target.
    pub(crate) targets: Vec<(String, String)>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a crate's dependencies.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// When a dependency is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Member {
    /// The last part of the folder's path.
    pub(crate) fn folder_name(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    pub(crate) fn is_pattern(&self) -> bool {
        PATTERNS.contains(&self.folder_name())
    }

    pub(crate) fn targets_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let of_kind = move |(found, name): &'a (String, String)| (found == kind).then_some(name);
        self.targets.iter().filter_map(of_kind).map(String::as_str)
    }
}

impl Workspace {
    pub(crate) fn load() -> Result<Self, Failure> {
        let metadata = metadata(&["--no-deps"])?;
        Ok(Self {
            root: crate::cargo::root(),
            target: PathBuf::from(text(&metadata["target_directory"])),
            members: in_order(list(&metadata["packages"]).map(member).collect()),
        })
    }

    /// The crate of that name, by package or by folder.
    pub(crate) fn member(&self, name: &str) -> Result<&Member, Failure> {
        let found = self.members.iter().find(|member| member.name == name || member.folder_name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.members.iter().map(|member| member.name.as_str()).collect();
            Failure::usage(format!("no crate {name:?} in this workspace; there are {}", names.join(", ")))
        })
    }

    pub(crate) fn publishable(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.publish)
    }

    /// The crate and every crate of ours that it needs, in dependency order.
    pub(crate) fn with_needs(&self, wanted: &[&Member]) -> Vec<&Member> {
        let mut needed: Vec<&str> = wanted.iter().map(|member| member.name.as_str()).collect();
        // Members stand in dependency order, so one walk from the back meets every need.
        for member in self.members.iter().rev() {
            if needed.contains(&member.name.as_str()) {
                needed.extend(member.dependencies.iter().map(|dependency| dependency.name.as_str()));
            }
        }
        self.members.iter().filter(|member| needed.contains(&member.name.as_str())).collect()
    }

    /// A path as a reader in the root would write it.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// `cargo metadata`, parsed.
pub(crate) fn metadata(args: &[&str]) -> Result<Value, Failure> {
    let mut command = cargo(["metadata", "--format-version", "1"]);
    let output = command.args(args).output().context("cannot run cargo metadata")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::task(format!("cargo metadata failed: {}", said.trim_end())));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn member(package: &Value) -> Member {
    let manifest = Path::new(text(&package["manifest_path"]));
    let features = package["features"].as_object();
    Member {
        name: text(&package["name"]).to_string(),
        folder: manifest.parent().unwrap_or(manifest).to_path_buf(),
        // `publish = false` arrives as an empty list of registries, its absence as null.
        publish: package["publish"].is_null(),
        description: !text(&package["description"]).is_empty(),
        keywords: list(&package["keywords"]).next().is_some(),
        license: !text(&package["license"]).is_empty(),
        features: features.into_iter().flat_map(|map| map.keys().cloned()).collect(),
        targets: list(&package["targets"]).flat_map(target).collect(),
        dependencies: list(&package["dependencies"]).map(dependency).collect(),
    }
}

fn target(target: &Value) -> Vec<(String, String)> {
    let name = text(&target["name"]);
    list(&target["kind"]).map(|kind| (text(kind).to_string(), name.to_string())).collect()
}

fn dependency(dependency: &Value) -> Dependency {
    Dependency {
        name: text(&dependency["name"]).to_string(),
        kind: match text(&dependency["kind"]) {
            "dev" => Kind::Dev,
            "build" => Kind::Build,
            _ => Kind::Normal,
        },
    }
}

/// Sorts so that a crate stands after all that it needs. Crates in a circle keep their place.
fn in_order(mut waiting: Vec<Member>) -> Vec<Member> {
    let mut ordered: Vec<Member> = Vec::new();
    while !waiting.is_empty() {
        let needs = |member: &Member, other: &Member| {
            member.name != other.name && member.dependencies.iter().any(|need| need.name == other.name)
        };
        let free = waiting.iter().position(|member| !waiting.iter().any(|other| needs(member, other)));
        ordered.push(waiting.remove(free.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, needs: &[&str]) -> Member {
        let need = |name: &&str| Dependency { name: name.to_string(), kind: Kind::Normal };
        Member {
            name: name.into(),
            folder: Path::new("crates").join(name),
            dependencies: needs.iter().map(need).collect(),
            ..Member::default()
        }
    }

    fn names<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<&'a str> {
        members.into_iter().map(|member| member.name.as_str()).collect()
    }

    #[test]
    fn core_comes_before_those_that_stand_on_it() {
        let members = in_order(vec![
            member("monitor", &["lock", "core"]),
            member("lock", &["core", "fred"]),
            member("core", &[]),
        ]);
        assert_eq!(names(&members), ["core", "lock", "monitor"]);
    }

    #[test]
    fn a_circle_does_not_hang() {
        let members = in_order(vec![member("a", &["b"]), member("b", &["a"])]);
        assert_eq!(members.len(), 2);
    }

    #[test]
    fn one_crate_brings_what_it_needs_and_no_more() {
        let members =
            in_order(vec![member("lock", &["core"]), member("queue", &["core"]), member("core", &[])]);
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), members };
        let queue = workspace.member("queue").unwrap();
        assert_eq!(names(workspace.with_needs(&[queue])), ["core", "queue"]);
    }

    #[test]
    fn an_unknown_crate_is_wrong_usage_and_the_known_are_named() {
        let workspace =
            Workspace { root: PathBuf::new(), target: PathBuf::new(), members: vec![member("core", &[])] };
        let failure = workspace.member("corr").unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().ends_with("there are core"), "{failure}");
    }

    #[test]
    fn this_workspace_is_read_as_it_is() {
        let workspace = Workspace::load().unwrap();
        let core = workspace.member("redis-patterns-core").unwrap();
        assert!(core.publish && core.description && core.keywords && core.license);
        assert!(!workspace.member("xtask").unwrap().publish);
    }
}
