//! `deploy/kubernetes`: the manifests agree with each other and with the binary: ports, names, settings, variables, commands.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use mainstay_base::units::Size;
use mainstay_testkit::{Site, checkout};
use serde::Deserialize as _;
use serde_json::{Value, json};

const CONFIG: &str = "/etc/mainstay/mainstay.toml";
const DATA: &str = "/var/lib/mainstay";
const TOKEN: &str = "/etc/mainstay/secret/admin-token";

/// Every object by kind and name.
struct Manifests(BTreeMap<(String, String), Value>);

impl Manifests {
    fn read() -> Self {
        let folder = std::fs::read_dir(checkout().join("deploy/kubernetes")).expect("manifests");
        let mut objects = BTreeMap::new();
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("a manifest");
            for document in serde_yaml_ng::Deserializer::from_str(&text) {
                let object = Value::deserialize(document).expect("YAML");
                let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
                let (kind, name) = (text("/kind"), text("/metadata/name"));
                let key = (kind.expect("a kind").to_owned(), name.expect("a name").to_owned());
                assert!(objects.insert(key.clone(), object).is_none(), "{key:?} twice");
            }
        }
        Self(objects)
    }

    fn find(&self, kind: &str, name: &str) -> &Value {
        let key = (kind.to_owned(), name.to_owned());
        assert!(self.0.contains_key(&key), "no {kind} {name}");
        &self.0[&key]
    }

    fn set(&self) -> &Value {
        &self.find("StatefulSet", "mainstay")["spec"]
    }

    fn pod(&self) -> &Value {
        &self.set()["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    fn settings(&self) -> (String, toml::Table) {
        let text = self.find("ConfigMap", "mainstay")["data"]["mainstay.toml"].as_str();
        let text = text.expect("settings").to_owned();
        let read = text.parse().expect("TOML");
        (text, read)
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let stores = &self.find("Secret", "mainstay-stores")["stringData"];
        serde_json::from_value(stores.clone()).expect("texts")
    }
}

#[test]
fn every_object_is_of_a_version_that_its_kind_has() {
    let manifests = Manifests::read();
    for ((kind, name), object) in &manifests.0 {
        let version = match kind.as_str() {
            "ConfigMap" | "Secret" | "Service" => "v1",
            "StatefulSet" => "apps/v1",
            "PodDisruptionBudget" => "policy/v1",
            "NetworkPolicy" => "networking.k8s.io/v1",
            other => panic!("{other} is not expected here"),
        };
        assert_eq!(object["apiVersion"], version, "{kind} {name}");
        let label = &object["metadata"]["labels"]["app.kubernetes.io/name"];
        assert_eq!(label, "mainstay", "{kind} {name}");
    }
    assert_eq!(manifests.0.len(), 7, "{:?}", manifests.0.keys());
}

#[test]
fn what_selects_pods_selects_ours() {
    let manifests = Manifests::read();
    let set = manifests.set();
    let labels = &set["template"]["metadata"]["labels"];
    assert_eq!(labels, &json!({"app.kubernetes.io/name": "mainstay"}));
    assert_eq!(&set["selector"]["matchLabels"], labels);
    assert_eq!(&manifests.find("Service", "mainstay")["spec"]["selector"], labels);
    let budget = &manifests.find("PodDisruptionBudget", "mainstay")["spec"];
    assert_eq!(&budget["selector"]["matchLabels"], labels);
    drop(manifests.find("Service", set["serviceName"].as_str().expect("a Service")).clone());
    let replicas = set["replicas"].as_u64().expect("a number");
    assert_eq!(replicas, 2);
    assert!(budget["minAvailable"].as_u64().is_some_and(|least| (1..replicas).contains(&least)));
    let policy = &manifests.find("NetworkPolicy", "mainstay")["spec"];
    assert_eq!(&policy["podSelector"]["matchLabels"], labels);
}

#[test]
fn the_public_port_is_one_everywhere_and_the_private_listener_is_the_pods_own() {
    let manifests = Manifests::read();
    let (_, settings) = manifests.settings();
    let listen = |room: &str| {
        let text = settings[room]["listen"].as_str().expect("an address");
        text.parse::<std::net::SocketAddr>().expect("an address")
    };
    let (public, admin) = (listen("edge"), listen("admin"));
    assert!(public.ip().is_unspecified() && admin.ip().is_loopback());
    let ports = json!([{"name": "http", "containerPort": public.port()}]);
    assert_eq!(manifests.container()["ports"], ports);
    let service = &manifests.find("Service", "mainstay")["spec"]["ports"];
    assert_eq!(service, &json!([{"name": "http", "port": 80, "targetPort": "http"}]));
    let policy = &manifests.find("NetworkPolicy", "mainstay")["spec"];
    let ports = json!([{"ports": [{"protocol": "TCP", "port": public.port()}]}]);
    assert_eq!((&policy["policyTypes"], &policy["ingress"]), (&json!(["Ingress"]), &ports));
}

#[test]
fn every_volume_and_secret_that_is_named_is_there() {
    let manifests = Manifests::read();
    let (pod, container) = (manifests.pod(), manifests.container());
    let names = |list: &Value| {
        let list = list.as_array().expect("a list");
        let mut names: Vec<_> = list.iter().map(|entry| entry["name"].to_string()).collect();
        names.sort();
        names
    };
    let claims = manifests.set()["volumeClaimTemplates"].as_array().expect("claims");
    let mut volumes = names(&pod["volumes"]);
    volumes.extend(claims.iter().map(|claim| claim["metadata"]["name"].to_string()));
    volumes.sort();
    assert_eq!(volumes, names(&container["volumeMounts"]));
    for volume in pod["volumes"].as_array().expect("volumes") {
        match (&volume["configMap"]["name"], &volume["secret"]["secretName"]) {
            (Value::String(name), _) => drop(manifests.find("ConfigMap", name).clone()),
            (_, Value::String(name)) => drop(manifests.find("Secret", name).clone()),
            // What a pod takes with it may hold nothing that was acknowledged.
            _ => panic!("{volume} outlives no pod"),
        }
    }
    assert_eq!(container["envFrom"], json!([{"secretRef": {"name": "mainstay-stores"}}]));
    let paths: Vec<_> = container["volumeMounts"].as_array().into_iter().flatten().collect();
    for path in [CONFIG, TOKEN.trim_end_matches("/admin-token")] {
        assert!(paths.iter().any(|mount| mount["mountPath"] == path), "{path}");
    }
    assert!(manifests.find("Secret", "mainstay-admin")["stringData"]["admin-token"].is_string());
    // What is asked to stop gets the time that it was promised.
    let seconds = |value: &Value| value.as_u64().expect("seconds");
    let grace = manifests.settings().1["shutdown_grace"].as_str().expect("a span").to_owned();
    let grace: u64 = grace.trim_end_matches('s').parse().expect("seconds");
    let stop = seconds(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    assert!(seconds(&pod["terminationGracePeriodSeconds"]) > grace + stop);
}

#[test]
fn the_data_dir_lies_on_a_disk_of_each_pods_own_that_stays() {
    let manifests = Manifests::read();
    let mounts = manifests.container()["volumeMounts"].as_array().expect("mounts").iter();
    let mounted: Vec<_> = mounts.filter(|mount| mount["mountPath"] == DATA).collect();
    assert_eq!(mounted.len(), 1, "{mounted:?}");
    assert_ne!(mounted[0]["readOnly"], true);
    let claims = manifests.set()["volumeClaimTemplates"].as_array().expect("claims");
    let claim = claims.iter().find(|claim| claim["metadata"]["name"] == mounted[0]["name"]);
    let claim = &claim.expect("a claim for the data")["spec"];
    assert_eq!(claim["accessModes"], json!(["ReadWriteOnce"]));
    let size = claim["resources"]["requests"]["storage"].as_str().expect("a size");
    let gib: u64 = size.trim_end_matches("Gi").parse().expect("GiB");
    let (text, settings) = manifests.settings();
    let in_force = effective(&text, &manifests.variables());
    let in_force: Value = serde_json::from_str(&in_force).expect("JSON");
    let spool = in_force["store.spool_max"]["value"].as_str().expect("a bound");
    let spool: Size = spool.parse().expect("a size");
    // What waits for the primary, and what waits for a replica.
    assert!(2 * spool.0 < gib << 30, "{spool} in {size}");
    let data = settings["data_dir"].as_str().expect("a path");
    assert!(Path::new(data).starts_with(DATA) && data != DATA, "{data}");
    // Kubernetes would else open everything in it to the group at each start, keys included.
    let security = &manifests.pod()["securityContext"];
    assert_eq!(security["fsGroupChangePolicy"], "OnRootMismatch");
    let kept = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    assert_eq!(manifests.set()["persistentVolumeClaimRetentionPolicy"], kept);
}

/// The settings and variables in force when the binary is told what a pod tells it, as far as a test can be a pod.
fn effective(settings: &str, variables: &BTreeMap<String, String>) -> String {
    let folder =
        Site::of(&[("site/index.html", "<p>home</p>"), ("token", "long-enough-to-be-one")]);
    let place = |name: &str| folder.path(name).display().to_string();
    let settings = settings
        .replace("/srv/site", &place("site"))
        .replace(TOKEN, &place("token"))
        .replace(DATA, &place("data"));
    folder.write("mainstay.toml", settings);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(["serve", "--print-config", "--json", "--config", &place("mainstay.toml")]);
    let output = command.env_clear().envs(variables).output().expect("mainstay");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let printed = String::from_utf8(output.stdout).expect("text");
    printed.replace(&folder.dir().display().to_string(), "")
}

#[test]
fn settings_and_variables_are_ones_that_the_binary_takes() {
    let manifests = Manifests::read();
    let (settings, _) = manifests.settings();
    let variables = manifests.variables();
    assert!(variables.keys().any(|name| name == "DATABASE_PRIMARY_URL"), "{:?}", variables.keys());
    // The default port says nothing when it is left out: another one does.
    let told: BTreeMap<_, _> = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.replace("6379", "6380")))
        .collect();
    let all = effective(&settings, &told);
    for name in told.keys() {
        let mut rest = told.clone();
        rest.remove(name);
        // A replica needs its primary, a port its host.
        match name.as_str() {
            "DATABASE_PRIMARY_URL" => rest.retain(|other, _| !other.starts_with("DATABASE_")),
            host if host.ends_with("_HOST") => drop(rest.remove(&host.replace("_HOST", "_PORT"))),
            _ => {}
        }
        assert_ne!(effective(&settings, &rest), all, "{name} changes nothing");
    }
}

#[test]
fn commands_of_the_pod_are_commands_of_the_binary() {
    let manifests = Manifests::read();
    let container = manifests.container();
    let words = |value: &Value| -> Vec<String> {
        serde_json::from_value(value.clone()).expect("a command")
    };
    assert_eq!(words(&container["command"])[1..], ["serve", "--config", CONFIG]);
    for (probe, question) in
        [("startupProbe", "startupz"), ("livenessProbe", "livez"), ("readinessProbe", "readyz")]
    {
        let command = words(&container[probe]["exec"]["command"]);
        assert_eq!(command[0], words(&container["command"])[0]);
        assert_eq!(command[1..], ["probe", question, "--config", CONFIG], "{probe}");
        // Known to the binary: it asks, and finds no server there.
        let mut asked = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        let home = Site::new();
        let ended = asked.args(&command[1..3]).current_dir(home.dir()).output().expect("mainstay");
        assert_eq!(ended.status.code(), Some(4), "{}", String::from_utf8_lossy(&ended.stderr));
    }
}
