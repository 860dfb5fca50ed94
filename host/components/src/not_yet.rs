//! Names that MMEngine and MMDetection have and this version has not, so that a `type` that is not there
//! yet is told apart from a misspelt one. A name leaves the list by being declared: declared ones are
//! looked up first.
//!
//! Source: MMDetection 3.3.0 and MMEngine 0.10.7, the `type` names of their configs.

/// Whether MMEngine or MMDetection has a component of this plain name.
pub fn is_known_elsewhere(name: &str) -> bool {
    NAMES.iter().any(|names| names.split_ascii_whitespace().any(|known| known == name))
}

/// Why a component is not here, where there is a reason that helps.
pub(crate) fn why_not(name: &str) -> Option<&'static str> {
    WHY_NOT.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}

/// Optimizers that MMEngine has, each with the reason that it is not here.
const WHY_NOT: [(&str, &str); 5] = [
    ("LBFGS", "it computes the loss several times in a step, and a step here computes it once"),
    ("SparseAdam", "it is for sparse gradients, and no layer here has any"),
    ("Muon", "it is for matrices alone, and models have other parameters too"),
    ("Adafactor", "its means by row and column are not kept yet"),
    ("TorchAdafactor", "its means by row and column are not kept yet"),
];

/// Names, several on a line.
const NAMES: [&str; 85] = [
    "Adadelta Adagrad Adam Adamax AdamW ADE20KInstanceDataset ADE20KPanopticDataset ADE20KSegDataset",
    "AimVisBackend Albu AmpOptimWrapper AnchorGenerator ApexOptimWrapper AppearanceFreeLink",
    "ApproxMaxIoUAssigner ASGD AspectRatioBatchSampler AssociativeEmbeddingLoss ATSS ATSSAssigner",
    "ATSSHead ATSSVLFusionHead AutoAssign AutoAssignHead AutoContrast BalancedL1Loss BaseReID",
    "BatchFixedSizePad BatchResize BatchSyncRandomResize BBoxHead BBoxL1Cost BboxOverlaps2D",
    "BboxOverlaps2D_GLIP BertModel BFP BinaryFocalLossCost Blur BN BN1d BoundedIoULoss BoxInst",
    "BoxInstBboxHead BoxInstDataPreprocessor BoxInstMaskHead BucketingBBoxCoder ByteTrack ByteTracker",
    "CachedMixUp CachedMosaic Caffe2Xavier CameraMotionCompensation CascadeRCNN CascadeRoIHead",
    "CascadeRPNHead CenterNet CenterNetHead CenterNetUpdateHead CenterRegionAssigner CentripetalHead",
    "ChannelMapper ChannelShuffle CheckInvalidLossHook CheckpointHook CIoULoss CityscapesDataset",
    "CityScapesMetric ClassAwareSampler ClassBalancedDataset ClassificationCost ClearMLVisBackend",
    "Clip ClsDataPreprocessor CoarseMaskHead CocoCaptionDataset COCOCaptionMetric CocoDataset",
    "CocoMetric CocoPanopticDataset CocoPanopticMetric CocoSegDataset CocoVideoMetric ColorTransform",
    "CombinedSampler ConcatDataset CondInst CondInstBboxHead CondInstMaskHead ConditionalDETR",
    "ConditionalDETRHead Constant ConstantLR ContextBlock Contrast Conv1d Conv3d ConvAWS",
    "ConvFCBBoxHead ConvModule ConvNeXt ConvWS CopyPaste CornerHead CornerNet CosineAnnealingLR",
    "CosineRestartLR CrossEntropyCustomLoss CrossEntropyLoss CrossEntropyLossCost CrowdDet",
    "CrowdHumanDataset CrowdHumanMetric CSPDarknet CSPNeXt CSPNeXtPAFPN CTResNetNeck",
    "CustomSampleSizeSampler DABDETR DABDETRHead Darknet DCN DCNv2 DDOD DDODHead DDQDETR DDQDETRHead",
    "DecoupledSOLOHead DecoupledSOLOLightHead DeepFashionDataset DeepSORT default_collate",
    "DefaultSampler DeformableDETR DeformableDETRHead DeformRoIPoolPack DeltaXYWHBBoxCoder",
    "DeltaXYWHBBoxCoderForGLIP DetDataPreprocessor DetectoRS_ResNet Detectron2Wrapper",
    "DetLocalVisualizer DETR DETRHead DetTTAModel DetVisualizationHook DiceCost DiceLoss DIIHead",
    "DilatedEncoder DINO DINOHead DIoULoss DistancePointBBoxCoder DistributionFocalLoss",
    "DistSamplerSeedHook DODCocoMetric DODDataset DoubleConvFCBBoxHead DoubleHeadRoIHead",
    "DSDLDetDataset DumpODVGResults DVCLiveVisBackend DyHead DynamicConv DynamicMaskHead",
    "DynamicRoIHead DynamicSoftLabelAssigner EarlyStoppingHook EfficientNet EIoULoss ELU",
    "EmbeddingRPNHead EmptyCacheHook EpochBasedTrainLoop Equalize Expand ExponentialLR FasterRCNN",
    "FastRCNN FCNMaskHead FCOS FCOSHead FeatureRelayHead FilterAnnotations FixScaleResize",
    "Flickr30kDataset Flickr30kMetric FocalCustomLoss FocalLoss FocalLossCost FOVEA FoveaHead FPG FPN",
    "FPN_CARAFE FPN_DropBlock FreeAnchorRetinaHead FSAF FSAFHead FusedSemanticHead GARetinaHead",
    "GARPNHead GaussianFocalLoss GELU GeneralizedAttention GenericRoIExtractor GFL GFLHead GHMC GHMR",
    "GIoULoss GLIP GlobalAveragePooling GlobalContextHead GN gRefCOCOMetric GridAssigner GridHead",
    "GridRCNN GridRoIHead GroundingDINO GroundingDINOHead GroundingVisualizationHook",
    "GroupMultiSourceSampler GroupNorm GTBoxSubOne_GLIP Hardsigmoid Hardswish HeuristicFusionHead",
    "HourglassNet HRFPN HRNet HTCMaskHead HueSaturationValue HungarianAssigner HybridTaskCascade",
    "HybridTaskCascadeRoIHead IN InfiniteSampler InstaBoost InstanceBalancedPosSampler InstanceNorm",
    "InterpolateTracklets IoUBalancedNegSampler IoUCost IoULoss iSAIDDataset IterBasedTrainLoop",
    "IterTimerHook JpegCompression KalmanFilter KnowledgeDistillationKLDivLoss",
    "KnowledgeDistillationSingleStageDetector L1Loss LAD LADHead LDHead LeakyReLU",
    "LegacyAnchorGenerator LegacyDeltaXYWHBBoxCoder LegacySSDAnchorGenerator LinearLR LinearReIDHead",
    "Lion LN LN2d LoadAnnotations LoadEmptyAnnotations LoadImageFromFile LoadPanopticAnnotations",
    "LoadProposals LoadTextAnnotations LoadTrackAnnotations LocalVisBackend LoggerHook LogProcessor",
    "LVISFixedAPMetric LVISMetric LVISV05Dataset LVISV1Dataset MarginL2Loss Mask2Former",
    "Mask2FormerHead Mask2FormerTrackHead Mask2FormerVideo MaskFormer MaskFormerFusionHead",
    "MaskFormerHead MaskIoUHead MaskPointHead MaskPseudoSampler MaskRCNN MaskScoringRCNN",
    "MaskScoringRoIHead MaskTrackRCNN MaskTrackRCNNTracker MaxIoUAssigner MDETRStyleRefCocoDataset",
    "MeanTeacherHook MedianBlur MemoryProfilerHook MinIoURandomCrop MixUp MLflowVisBackend",
    "MlvlPointGenerator MMSyncBN MobileNetV2 ModulatedDeformRoIPoolPack Mosaic MOTChallengeDataset",
    "MOTChallengeMetric MOTChallengeMetrics MSDeformAttnPixelDecoder MSELoss MultiBranch",
    "MultiBranchDataPreprocessor MultiDatasetsEvaluator MultiImageMixDataset MultiInsRandomSampler",
    "MultiInstanceAssigner MultiInstanceBBoxHead MultiInstanceRoIHead MultiPosCrossEntropyLoss",
    "MultiScaleFlipAug MultiStepLR NAdam NASFCOS NASFCOS_FPN NASFCOSHead NASFPN NeptuneVisBackend nms",
    "Normal Normalize NormedConv2d NormedLinear NPUProfilerHook NumClassCheckHook Objects365V1Dataset",
    "Objects365V2Dataset OCSORT OCSORTTracker ODVGDataset OHEMSampler OneCycleLR OneOf",
    "OpenImagesChallengeDataset OpenImagesDataset OpenImagesMetric OptimWrapper OptimWrapperDict",
    "OVCocoMetric PAA PAAHead PackDetInputs PackInputs PackReIDInputs PackTrackInputs Pad PAFPN",
    "PanopticFPN PanopticFPNHead ParamSchedulerHook PhotoMetricDistortion PipelineSwitchHook",
    "PISARetinaHead PISARoIHead PISASSDHead PixelDecoder PointAssigner PointRend PointRendRoIHead",
    "PolyLR Posterize PReLU PrepareTTAHook Pretrained ProfilerHook ProposalBroadcaster PseudoSampler",
    "PyramidVisionTransformer PyramidVisionTransformerV2 QDTrack QuadraticWarmupLR QualityFocalLoss",
    "QuasiDenseEmbedHead QuasiDenseTracker QuasiDenseTrackHead QueryInst RAdam RandAugment",
    "RandomAffine RandomBrightnessContrast RandomCenterCropPad RandomChoice RandomChoiceResize",
    "RandomCrop RandomErasing RandomFlip RandomFlip_GLIP RandomOrder RandomResize RandomSampler",
    "RandomSamplingNegPos RandomShift ReduceOnPlateauLR RefCocoDataset RefExpMetric RefSegMetric",
    "RegionAssigner RegNet ReIDDataPreprocessor ReIDDataset ReIDMetrics ReLU ReLU6 RepeatAugSampler",
    "RepeatDataset RepPointsDetector RepPointsHead Res2Net Resize ResLayer ResNeSt ResNet ResNeXt",
    "RetinaHead RetinaNet RetinaSepBNHead RFP RGBShift RMSprop RoIAlign RoIEmbedHead RoITrackHead",
    "Rotate RPN RPNHead Rprop RTMDet RTMDetHead RTMDetInsSepBNHead RTMDetSepBNHead SABLHead",
    "SABLRetinaHead SAC SCNet SCNetBBoxHead SCNetMaskHead SCNetRoIHead SCNetSemanticHead",
    "ScoreHLRSampler SeesawLoss SemSegMetric SetEpochInfoHook SGD Shared2FCBBoxHead",
    "Shared4Conv1FCBBoxHead Sharpness ShearX ShearY ShiftScaleRotate Sigmoid SiLU SimOTAAssigner",
    "SimpleRoIAlign SinePositionalEncoding3D SingleRoIExtractor SingleStageDetector SIoULoss",
    "SmoothL1Loss soft_nms SoftTeacher Solarize SOLO SOLOHead SOLOv2 SOLOV2Head SORTTracker",
    "SparseRCNN SparseRoIHead SSDAnchorGenerator SSDHead SSDNeck SSDVGG StageCascadeRPNHead",
    "StandardRoIHead StepLR StrongSORT StrongSORTTracker SwinTransformer Swish SyncBN SyncBuffersHook",
    "SyncNormHook Tanh TaskAlignedAssigner TBLRBBoxCoder TeacherStudentValLoop TensorboardVisBackend",
    "TestLoop TestTimeAug TIMMBackbone TOOD TOODHead TrackAspectRatioBatchSampler",
    "TrackDataPreprocessor TrackImgSampler TrackLocalVisualizer TrackVisualizationHook",
    "TransformBroadcaster TransformerEncoderPixelDecoder TranslateX TranslateY TridentFasterRCNN",
    "TridentResNet TridentRoIHead TripletLoss TruncNormal Uniform UniformAssigner",
    "UniformRefFrameSample V3DetDataset ValLoop VarifocalLoss VFNet VFNetHead VOCDataset VOCMetric",
    "WandbVisBackend WIDERFaceDataset Xavier YOLACT YOLACTHead YOLACTProtonet YOLOAnchorGenerator",
    "YOLOBBoxCoder YOLOF YOLOFHead YOLOV3 YOLOV3Head YOLOV3Neck YOLOX YOLOXHead YOLOXHSVRandomAug",
    "YOLOXModeSwitchHook YOLOXPAFPN YouTubeVISDataset YouTubeVISMetric",
];

#[cfg(test)]
mod tests {
    use super::is_known_elsewhere;

    #[test]
    fn names_are_whole_words() {
        assert!(is_known_elsewhere("SwinTransformer") && is_known_elsewhere("soft_nms"));
        assert!(!is_known_elsewhere("Swin") && !is_known_elsewhere(""));
    }
}
