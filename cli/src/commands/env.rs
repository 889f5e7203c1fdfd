//! `cardctl env`: where the platform is, for scripts.

use card_core::plain;
use clap::ValueEnum;

use crate::client::quote;
use crate::context::{Context, Endpoint, Target};
use crate::failure::Failure;
use crate::instance::{Paths, Record};
use crate::kubernetes::{Deployment, deployed, lasting};
use crate::output::Format;
use card_core::exit::Exit;

/// Print the endpoint as environment variables
///
/// A platform in Kubernetes needs an ingress or a node port. Prints no secret: CARDCTL_OPERATOR_TOKEN_FILE is the path of
/// the operator's token.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl env                         print export lines; to set them: eval \"$(cardctl env)\"
  cardctl env json                    print a JSON document")]
pub struct EnvArgs {
    /// Output syntax
    #[arg(value_enum, default_value_t)]
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Language {
    /// Export lines for a shell
    #[default]
    Shell,
    /// JSON document
    Json,
}

/// Runs it.
///
/// # Errors
/// Nothing runs, or what runs has no address that stays.
pub async fn run(args: EnvArgs, context: &Context) -> Result<Exit, Failure> {
    let endpoint = lasting_endpoint(context).await?;
    let is_here = matches!(context.target()?, Target::Local(_));
    let record = is_here.then(|| Record::running(&context.instance)).flatten();
    let variables = variables(&endpoint, record.as_ref(), &context.instance.name);
    let printer = &context.printer;
    if args.language == Language::Shell && printer.is_text() {
        let lines: Vec<_> = variables.iter().map(|(name, value)| format!("export {name}={}", quote(value))).collect();
        printer.raw(lines.join("\n"))?;
        return Ok(Exit::Done);
    }
    let mut document = serde_json::Map::from_iter([("v".to_owned(), 1.into())]);
    document.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
    let text = match printer.format() {
        Format::Jsonl => serde_json::to_string(&document),
        Format::Text | Format::Json => serde_json::to_string_pretty(&document),
    };
    printer.own(plain::json(&text.map_err(Failure::internal)?))?;
    Ok(Exit::Done)
}

/// A script goes on when this command has ended: a port that was forwarded for it alone is no address.
async fn lasting_endpoint(context: &Context) -> Result<Endpoint, Failure> {
    let Target::Kubernetes(kind) = context.target()? else { return context.endpoint().await };
    let (cluster, token) = deployed(kind, context).await?;
    let asked = Deployment::load(&context.instance).map(|deployment| deployment.asked).unwrap_or_default();
    let ingress = asked.ingress.as_deref().map(|host| (host, asked.tls));
    let base_url = lasting(&cluster, ingress).await.ok_or_else(|| {
        let program = context.program();
        Failure::new("no-address", Exit::NotReady, "the platform has no address outside its cluster")
            .evidence("commands forward a port only while they are running")
            .fix(format!(
                "run a command with an address: {program} up -- COMMAND; or add an ingress: {program} up --ingress HOST"
            ))
    })?;
    // Whoever takes the address from here means it, and the network up to the cluster's nodes.
    let plain_http = match reqwest::Url::parse(&base_url) {
        Ok(url) => context.plain_http.clone().and(&url),
        Err(_) => context.plain_http.clone(),
    };
    let target = kind.name().to_owned();
    Ok(Endpoint { base_url, operator_token: Some(token), plain_http, issuer_url: None, target })
}

/// What a command under `up --` finds in its environment.
#[must_use]
pub fn variables(endpoint: &Endpoint, record: Option<&Record>, instance: &str) -> Vec<(&'static str, String)> {
    let mut variables = vec![("CARDCTL_URL", endpoint.base_url.clone())];
    let plain_http = endpoint.plain_http.to_string();
    if !plain_http.is_empty() {
        variables.push(("CARDCTL_PLAIN_HTTP", plain_http));
    }
    if let Some(record) = record {
        variables.push(("CARDCTL_INSTANCE", instance.to_owned()));
        let token = Paths::operator_token(&record.data_dir);
        variables.push(("CARDCTL_OPERATOR_TOKEN_FILE", token.display().to_string()));
    }
    if let Some(issuer) = &endpoint.issuer_url {
        variables.push(("CARDCTL_ISSUER_URL", issuer.clone()));
    }
    variables
}
