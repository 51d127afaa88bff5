//! Files that package managers write (spec 03 §14): their differences say nothing about a change.

use std::sync::LazyLock;

use crate::workspace::gitignore::Patterns;

/// Names and paths, at any depth.
const FILES: &str = "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml bun.lockb \
    .yarnrc.yml .pnp.js .pnp.cjs jspm.lock Pipfile.lock poetry.lock pdm.lock .pdm-lock.toml conda-lock.yml \
    pylock.toml Gemfile.lock .bundle/config composer.lock gradle.lockfile lockfile.json dependency-lock.json \
    dependency-reduced-pom.xml coursier.lock build.sbt.lock packages.lock.json paket.lock project.assets.json \
    Cargo.lock go.sum Gopkg.lock glide.lock vendor/vendor.json build.zig.zon.lock dune.lock opam.lock \
    kotlin-js-store Package.resolved Podfile.lock Cartfile.resolved pubspec.lock mix.lock rebar.lock \
    stack.yaml.lock cabal.project.freeze elm-stuff/exact-dependencies.json shard.lock Manifest.toml \
    JuliaManifest.toml renv.lock packrat.lock nimble.lock dub.selections.json rocks.lock carton.lock \
    cpanfile.snapshot conan.lock vcpkg-lock.json .terraform.lock.hcl Berksfile.lock Puppetfile.lock flake.lock \
    deno.lock devcontainer.lock.json kotlin-js-store/** elm-stuff/** .yarn/cache/** .yarn/unplugged/** \
    .yarn/build-state.yml .yarn/install-state.gz";

/// Whether the file of this path, relative and with forward slashes, is one of them.
pub fn is_lock_file(path: &str) -> bool {
    static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
        let anywhere: Vec<String> = FILES.split_whitespace().map(|file| format!("**/{file}")).collect();
        Patterns::parse(&anywhere.join("\n"))
    });
    PATTERNS.excludes(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §14: lock files at any depth, whatever the case of their names
    #[test]
    fn lock_files_are_known() {
        for (path, locked) in [
            ("Cargo.lock", true),
            ("a/b/cargo.LOCK", true),
            ("web/.yarn/cache/x/y.zip", true),
            (".yarn/releases/yarn.cjs", false),
            (".yarn/install-state.gz", true),
            ("vendor/vendor.json", true),
            ("x/vendor/vendor.json", true),
            ("vendor.json", false),
            ("kotlin-js-store/yarn.txt", true),
            ("elm-stuff/0.19/a", true),
            ("yarn.lock/readme", true),
            ("my-yarn.lock", false),
            ("go.sum.txt", false),
            ("src/go.mod", false),
        ] {
            assert_eq!(is_lock_file(path), locked, "{path}");
        }
    }
}
