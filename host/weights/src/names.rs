//! Names of trained weights and their addresses.
//!
//! Source: MMEngine `hub/openmmlab.json`, `hub/torchvision_0.12.json`; torchvision `models/resnet.py` (both versions of
//! its weights).

use crate::WeightsError;

const TORCHVISION: &str = "https://download.pytorch.org/models/";
const OPEN_MMLAB: &str = "https://download.openmmlab.com/pretrain/third_party/";

/// Names of torchvision; the second kind is that of its newer interface.
const TORCHVISION_NAMES: [(&str, &str); 23] = [
    ("resnet18", "resnet18-f37072fd.pth"),
    ("resnet34", "resnet34-b627a593.pth"),
    ("resnet50", "resnet50-0676ba61.pth"),
    ("resnet101", "resnet101-63fe2227.pth"),
    ("resnet152", "resnet152-394f9c45.pth"),
    ("resnext50_32x4d", "resnext50_32x4d-7cdf4587.pth"),
    ("resnext101_32x8d", "resnext101_32x8d-8ba56ff5.pth"),
    ("wide_resnet50_2", "wide_resnet50_2-95faca4d.pth"),
    ("wide_resnet101_2", "wide_resnet101_2-32ee1156.pth"),
    ("ResNet18_Weights.IMAGENET1K_V1", "resnet18-f37072fd.pth"),
    ("ResNet34_Weights.IMAGENET1K_V1", "resnet34-b627a593.pth"),
    ("ResNet50_Weights.IMAGENET1K_V1", "resnet50-0676ba61.pth"),
    ("ResNet50_Weights.IMAGENET1K_V2", "resnet50-11ad3fa6.pth"),
    ("ResNet101_Weights.IMAGENET1K_V1", "resnet101-63fe2227.pth"),
    ("ResNet101_Weights.IMAGENET1K_V2", "resnet101-cd907fc2.pth"),
    ("ResNet152_Weights.IMAGENET1K_V1", "resnet152-394f9c45.pth"),
    ("ResNet152_Weights.IMAGENET1K_V2", "resnet152-f82ba261.pth"),
    ("ResNeXt50_32X4D_Weights.IMAGENET1K_V1", "resnext50_32x4d-7cdf4587.pth"),
    ("ResNeXt50_32X4D_Weights.IMAGENET1K_V2", "resnext50_32x4d-1a0047aa.pth"),
    ("ResNeXt101_32X8D_Weights.IMAGENET1K_V1", "resnext101_32x8d-8ba56ff5.pth"),
    ("ResNeXt101_32X8D_Weights.IMAGENET1K_V2", "resnext101_32x8d-110c445d.pth"),
    ("Wide_ResNet50_2_Weights.IMAGENET1K_V1", "wide_resnet50_2-95faca4d.pth"),
    ("Wide_ResNet101_2_Weights.IMAGENET1K_V1", "wide_resnet101_2-32ee1156.pth"),
];

/// Names of OpenMMLab, those of ResNets.
const OPEN_MMLAB_NAMES: [(&str, &str); 11] = [
    ("detectron/resnet50_caffe", "resnet50_caffe-788b5fa3.pth"),
    ("detectron2/resnet50_caffe", "resnet50_msra-5891d200.pth"),
    ("detectron/resnet101_caffe", "resnet101_caffe-3ad79236.pth"),
    ("detectron2/resnet101_caffe", "resnet101_msra-6cc46731.pth"),
    ("detectron2/resnext101_32x8d", "resnext101_32x8d-1516f1aa.pth"),
    ("resnext50_32x4d", "resnext50-32x4d-0ab1a123.pth"),
    ("resnext101_32x4d", "resnext101_32x4d-a5af3160.pth"),
    ("resnext101_64x4d", "resnext101_64x4d-ee2c6f71.pth"),
    ("resnet18_v1c", "resnet18_v1c-b5776b93.pth"),
    ("resnet50_v1c", "resnet50_v1c-2cccc1ad.pth"),
    ("resnet101_v1c", "resnet101_v1c-e67eebb6.pth"),
];

/// The address that a name or an address means.
///
/// Errors: an unknown scheme or name.
pub fn address(source: &str) -> Result<String, WeightsError> {
    let (scheme, name) = source.split_once("://").unwrap_or_default();
    let (base, names): (&str, &[(&str, &str)]) = match scheme {
        "http" | "https" => return Ok(source.to_owned()),
        "torchvision" | "modelzoo" => (TORCHVISION, &TORCHVISION_NAMES),
        "open-mmlab" | "openmmlab" => (OPEN_MMLAB, &OPEN_MMLAB_NAMES),
        _ => return Err(WeightsError::Scheme(source.to_owned())),
    };
    if let Some((_, file)) = names.iter().find(|(known, _)| *known == name) {
        return Ok(format!("{base}{file}"));
    }
    let alike = |known: &&(&str, &str)| (strsim::jaro_winkler(name, known.0) * 1e6) as u64;
    let nearest = names.iter().max_by_key(alike).map_or("", |(known, _)| known);
    Err(WeightsError::Name { found: source.to_owned(), nearest: format!("{scheme}://{nearest}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_addresses_and_addresses_are_their_own() {
        assert_eq!(
            address("open-mmlab://detectron2/resnet50_caffe").unwrap(),
            "https://download.openmmlab.com/pretrain/third_party/resnet50_msra-5891d200.pth"
        );
        let own = "https://example.org/a.pth";
        assert_eq!(address(own).unwrap(), own);
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest() {
        let error = address("torchvision://resnet5O").unwrap_err().to_string();
        assert_eq!(
            error,
            "weights \"torchvision://resnet5O\": unknown name (nearest: torchvision://resnet50)"
        );
        assert!(address("ftp://a/b.pth").unwrap_err().to_string().contains("expected a file"));
    }
}
