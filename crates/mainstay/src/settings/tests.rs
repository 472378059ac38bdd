//! The settings as a whole; this file holds the scene the tests beneath play in.

mod documents;
mod refused;
mod secrets;
mod sources;

use super::*;

/// A settings file in a folder of its own, which also holds the folder `site`.
struct Scene {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

fn scene(toml: &str) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mainstay.toml");
    std::fs::create_dir(dir.path().join("site")).unwrap();
    let toml = toml.replace("DIR", dir.path().to_str().unwrap());
    std::fs::write(&file, toml).unwrap();
    Scene { dir, inputs: Inputs { config: Some(file), ..Inputs::default() } }
}

impl Scene {
    fn variable(mut self, name: &str, text: &str) -> Self {
        let text = text.replace("DIR", self.dir.path().to_str().unwrap());
        self.inputs.variables.push((name.into(), text.into()));
        self
    }

    fn flag(mut self, name: &'static str, setting: &'static str, text: &str) -> Self {
        self.inputs.flags.push(Flag { name, setting, text: text.into() });
        self
    }

    fn site(mut self, dir: &str) -> Self {
        self.inputs.site_dir = Some(self.dir.path().join(dir));
        self
    }

    fn problems(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        survey(&self.inputs).problems.iter().map(|p| p.to_string().replace(&dir, "")).collect()
    }

    fn settings(&self) -> Settings {
        load(&self.inputs).unwrap().settings
    }

    fn source(&self, path: &str) -> String {
        let dir = format!("{}/", self.dir.path().display());
        let loaded = load(&self.inputs).unwrap();
        loaded.sources.find(&KeyPath::dotted(path)).to_string().replace(&dir, "")
    }
}

fn refused(toml: &str, expected: &[&str]) {
    assert_eq!(scene(toml).problems(), expected, "{toml}");
}
