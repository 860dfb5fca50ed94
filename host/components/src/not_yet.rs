//! Names that MMEngine and MMDetection have and this version has not, so that a `type` that is not there
//! yet is told apart from a misspelt one. A name that is declared leaves the list.
//!
//! Source: MMDetection 3.3.0 and MMEngine 0.10.7, the `type` names of their configs.

/// Whether MMEngine or MMDetection has a component of this plain name.
pub(crate) fn is_known_elsewhere(name: &str) -> bool {
    NAMES.iter().any(|names| names.split_ascii_whitespace().any(|known| known == name))
}

/// Why a component is not here, where there is a reason that helps.
pub(crate) fn why_not(name: &str) -> Option<&'static str> {
    WHY_NOT.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}

/// What MMEngine or MMDetection has, each with the reason that it is not here, or not there where it was asked for.
const WHY_NOT: [(&str, &str); 6] = [
    ("LBFGS", "it computes the loss several times in a step, and a step here computes it once"),
    ("SparseAdam", "it is for sparse gradients, and no layer here has any"),
    ("Muon", "it is for matrices alone, and models have other parameters too"),
    ("Adafactor", "its means by row and column are not kept yet"),
    ("GN", "the towers of FCOSHead alone have it yet"),
    ("TorchAdafactor", "its means by row and column are not kept yet"),
];

/// Names, several on a line.
const NAMES: [&str; 69] = [
    "ADE20KInstanceDataset ADE20KPanopticDataset ADE20KSegDataset AimVisBackend Albu",
    "ApexOptimWrapper AppearanceFreeLink ApproxMaxIoUAssigner AssociativeEmbeddingLoss ATSS",
    "ATSSAssigner ATSSHead ATSSVLFusionHead AutoAssign AutoAssignHead AutoContrast BalancedL1Loss",
    "BaseReID BatchResize BBoxL1Cost BboxOverlaps2D_GLIP BertModel BFP BinaryFocalLossCost Blur",
    "BN1d BoxInst BoxInstBboxHead BoxInstDataPreprocessor BoxInstMaskHead BucketingBBoxCoder",
    "ByteTrack ByteTracker Caffe2Xavier CameraMotionCompensation CascadeRCNN CascadeRoIHead",
    "CascadeRPNHead CenterNet CenterNetHead CenterNetUpdateHead CenterRegionAssigner",
    "CentripetalHead ChannelMapper ChannelShuffle CityscapesDataset CityScapesMetric",
    "ClassificationCost ClearMLVisBackend Clip CoarseMaskHead",
    "CocoCaptionDataset COCOCaptionMetric CocoPanopticDataset CocoPanopticMetric CocoSegDataset",
    "CocoVideoMetric ColorTransform CombinedSampler CondInst CondInstBboxHead CondInstMaskHead",
    "ConditionalDETR ConditionalDETRHead ContextBlock Contrast Conv1d Conv3d ConvAWS ConvModule",
    "ConvNeXt ConvWS CopyPaste CornerHead CornerNet CosineRestartLR CrossEntropyCustomLoss",
    "CrossEntropyLossCost CrowdDet CrowdHumanDataset CrowdHumanMetric CSPNeXt CSPNeXtPAFPN",
    "CTResNetNeck CustomSampleSizeSampler DABDETR DABDETRHead Darknet DCN DCNv2 DDOD DDODHead",
    "DDQDETR DDQDETRHead DecoupledSOLOHead DecoupledSOLOLightHead DeepFashionDataset DeepSORT",
    "default_collate DeformableDETR DeformableDETRHead DeformRoIPoolPack",
    "DeltaXYWHBBoxCoderForGLIP DetectoRS_ResNet Detectron2Wrapper DetLocalVisualizer DETR",
    "DETRHead DiceCost DiceLoss DIIHead DilatedEncoder DINO DINOHead",
    "DistributionFocalLoss DODCocoMetric DODDataset DoubleConvFCBBoxHead",
    "DoubleHeadRoIHead DSDLDetDataset DumpODVGResults DVCLiveVisBackend DyHead DynamicConv",
    "DynamicMaskHead DynamicRoIHead DynamicSoftLabelAssigner EfficientNet EIoULoss ELU",
    "EmbeddingRPNHead Equalize ExponentialLR FastRCNN FCNMaskHead FeatureRelayHead",
    "Flickr30kDataset Flickr30kMetric FocalCustomLoss FocalLossCost FOVEA FoveaHead FPG",
    "FPN_CARAFE FPN_DropBlock FreeAnchorRetinaHead FSAF FSAFHead FusedSemanticHead GARetinaHead",
    "GARPNHead GaussianFocalLoss GELU GeneralizedAttention GenericRoIExtractor GFL GFLHead GHMC",
    "GHMR GLIP GlobalContextHead gRefCOCOMetric GridAssigner GridHead",
    "GridRCNN GridRoIHead GroundingDINO GroundingDINOHead GroundingVisualizationHook",
    "GroupMultiSourceSampler GroupNorm GTBoxSubOne_GLIP Hardsigmoid Hardswish HeuristicFusionHead",
    "HourglassNet HRFPN HRNet HTCMaskHead HueSaturationValue HungarianAssigner HybridTaskCascade",
    "HybridTaskCascadeRoIHead IN InstaBoost InstanceBalancedPosSampler InstanceNorm",
    "InterpolateTracklets IoUBalancedNegSampler IoUCost iSAIDDataset JpegCompression KalmanFilter",
    "KnowledgeDistillationKLDivLoss KnowledgeDistillationSingleStageDetector LAD LADHead LDHead",
    "LegacyAnchorGenerator LegacyDeltaXYWHBBoxCoder LegacySSDAnchorGenerator LinearReIDHead LN",
    "LN2d LoadEmptyAnnotations LoadPanopticAnnotations LoadProposals LoadTextAnnotations",
    "LoadTrackAnnotations LVISFixedAPMetric LVISMetric LVISV05Dataset LVISV1Dataset MarginL2Loss",
    "Mask2Former Mask2FormerHead Mask2FormerTrackHead Mask2FormerVideo MaskFormer",
    "MaskFormerFusionHead MaskFormerHead MaskIoUHead MaskPointHead MaskPseudoSampler MaskRCNN",
    "MaskScoringRCNN MaskScoringRoIHead MaskTrackRCNN MaskTrackRCNNTracker",
    "MDETRStyleRefCocoDataset MedianBlur MLflowVisBackend MlvlPointGenerator MMSyncBN MobileNetV2",
    "ModulatedDeformRoIPoolPack MOTChallengeDataset MOTChallengeMetric MOTChallengeMetrics",
    "MSDeformAttnPixelDecoder MSELoss MultiBranch MultiBranchDataPreprocessor",
    "MultiDatasetsEvaluator MultiInsRandomSampler MultiInstanceAssigner MultiInstanceBBoxHead",
    "MultiInstanceRoIHead MultiPosCrossEntropyLoss MultiScaleFlipAug NASFCOS NASFCOS_FPN",
    "NASFCOSHead NASFPN NeptuneVisBackend Normalize NormedConv2d NormedLinear NPUProfilerHook",
    "Objects365V1Dataset Objects365V2Dataset OCSORT OCSORTTracker ODVGDataset OneCycleLR OneOf",
    "OpenImagesChallengeDataset OpenImagesDataset OpenImagesMetric OptimWrapperDict OVCocoMetric",
    "PAA PAAHead PackReIDInputs PackTrackInputs PAFPN PanopticFPN PanopticFPNHead",
    "PISARetinaHead PISARoIHead PISASSDHead PixelDecoder PointAssigner PointRend PointRendRoIHead",
    "Posterize PReLU PrepareTTAHook ProposalBroadcaster PyramidVisionTransformer",
    "PyramidVisionTransformerV2 QDTrack QualityFocalLoss QuasiDenseEmbedHead QuasiDenseTracker",
    "QuasiDenseTrackHead QueryInst RandAugment RandomBrightnessContrast RandomCenterCropPad",
    "RandomFlip_GLIP RandomOrder RandomSamplingNegPos RefCocoDataset RefExpMetric RefSegMetric",
    "RegionAssigner RegNet ReIDDataPreprocessor ReIDDataset ReIDMetrics ReLU6 RepeatAugSampler",
    "RepPointsDetector RepPointsHead Res2Net ResNeSt RetinaSepBNHead RFP RGBShift RoIEmbedHead",
    "RoITrackHead Rotate RPN RTMDet RTMDetHead RTMDetInsSepBNHead RTMDetSepBNHead SABLHead",
    "SABLRetinaHead SAC SCNet SCNetBBoxHead SCNetMaskHead SCNetRoIHead SCNetSemanticHead",
    "ScoreHLRSampler SeesawLoss SemSegMetric Sharpness ShearX ShearY ShiftScaleRotate Sigmoid",
    "SimpleRoIAlign SinePositionalEncoding3D SingleStageDetector SIoULoss SoftTeacher Solarize",
    "SOLO SOLOHead SOLOv2 SOLOV2Head SORTTracker SparseRCNN SparseRoIHead SSDAnchorGenerator",
    "SSDHead SSDNeck SSDVGG StageCascadeRPNHead StrongSORT StrongSORTTracker SwinTransformer Tanh",
    "TaskAlignedAssigner TBLRBBoxCoder TeacherStudentValLoop TIMMBackbone TOOD",
    "TOODHead TrackAspectRatioBatchSampler TrackDataPreprocessor TrackImgSampler",
    "TrackLocalVisualizer TrackVisualizationHook TransformBroadcaster",
    "TransformerEncoderPixelDecoder TranslateX TranslateY TridentFasterRCNN TridentResNet",
    "TridentRoIHead TripletLoss TruncNormal Uniform UniformAssigner UniformRefFrameSample",
    "V3DetDataset VarifocalLoss VFNet VFNetHead WandbVisBackend WIDERFaceDataset YOLACT",
    "YOLACTHead YOLACTProtonet YOLOAnchorGenerator YOLOBBoxCoder YOLOF YOLOFHead YOLOV3",
    "YOLOV3Head YOLOV3Neck YouTubeVISDataset YouTubeVISMetric",
];

#[cfg(test)]
mod tests {
    use super::is_known_elsewhere;
    use crate::Catalog;

    #[test]
    fn names_are_whole_words() {
        assert!(is_known_elsewhere("SwinTransformer") && is_known_elsewhere("YOLOV3"));
        assert!(!is_known_elsewhere("Swin") && !is_known_elsewhere(""));
    }

    #[test]
    fn what_is_here_is_not_told_to_be_missing() {
        let catalog = Catalog::built_in();
        let names = catalog.all().iter().flat_map(|declared| &declared.names);
        let wrong: Vec<&String> = names.filter(|name| is_known_elsewhere(name)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
