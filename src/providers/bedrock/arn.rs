//! Amazon resource names of models (spec 07 §15.2).

use super::model::base_id;

/// A resource name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    /// Region of the resource.
    pub region: String,
    /// Kind of resource, such as `foundation-model` or `inference-profile`.
    pub model_type: String,
    /// Name of the resource without the prefix of an inference profile.
    pub model_id: String,
}

impl Arn {
    /// Takes apart `arn:aws:{bedrock|sagemaker}:{region}:{account}:{type}/{id}`; the account may be empty. `None` for
    /// everything else, other partitions than `aws` included.
    pub fn parse(text: &str) -> Option<Arn> {
        let rest = text.strip_prefix("arn:aws:")?;
        let rest = rest.strip_prefix("bedrock:").or_else(|| rest.strip_prefix("sagemaker:"))?;
        let (region, rest) = rest.split_once(':')?;
        let (_account, rest) = rest.split_once(':')?;
        let (model_type, id) = rest.split_once('/')?;
        let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-:".contains(&b));
        if region.is_empty() || model_type.is_empty() || !is_id {
            return None;
        }
        Some(Arn { region: region.into(), model_type: model_type.into(), model_id: base_id(id).into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_names() {
        for (text, expected) in [
            (
                "arn:aws:bedrock:us-west-2::foundation-model/a.b-v1:0",
                Some(("us-west-2", "foundation-model", "a.b-v1:0")),
            ),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.a", Some(("us-east-1", "inference-profile", "a"))),
            ("arn:aws:bedrock:ap-south-1:1:inference-profile/apac.a", Some(("ap-south-1", "inference-profile", "a"))),
            ("arn:aws:sagemaker:eu-west-1:1:endpoint/x_y", Some(("eu-west-1", "endpoint", "x_y"))),
            ("arn:aws:bedrock:r:1:a:b/c", Some(("r", "a:b", "c"))),
            ("arn:aws:bedrock:us-east-1", None),
            ("arn:aws:bedrock:us-east-1::foundation-model/", None),
            ("arn:aws:bedrock:us-east-1::/x", None),
            ("arn:aws:bedrock:::foundation-model/x", None),
            ("arn:aws:bedrock:r::t/a/b", None),
            ("arn:aws:bedrock:r::t/a b", None),
            ("arn:aws:s3:r::t/a", None),
            ("arn:aws-cn:bedrock:r::t/a", None),
            (" arn:aws:bedrock:r::t/a", None),
        ] {
            let arn = Arn::parse(text);
            let parts = arn.as_ref().map(|a| (a.region.as_str(), a.model_type.as_str(), a.model_id.as_str()));
            assert_eq!(parts, expected, "{text}");
        }
    }
}
