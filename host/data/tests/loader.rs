//! Whole ways from files to batches, on drawn pictures: data sets, wrappers, loader, broken input.
//! Knows nothing of models.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use snaphook_data::{
    Batch, DataError, Dataset, Loader, LoaderConfig, OnBadImage, Rank, build_dataset, shapes,
};
use tempfile::TempDir;

const OPTIONS: shapes::ShapesOptions =
    shapes::ShapesOptions { train: 10, val: 3, size: 48, seed: 1 };

fn drawn() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    OPTIONS.draw_into(folder.path()).expect("drawn pictures");
    folder
}

fn leaf(root: &Path, pipeline: Value) -> Value {
    json!({"type": "CocoDataset", "data_root": root, "ann_file": "annotations/train.json",
        "data_prefix": {"img": "train/"}, "metainfo": {"classes": shapes::CLASSES},
        "filter_cfg": {"filter_empty_gt": true, "min_size": 32}, "backend_args": null, "pipeline": pipeline})
}

fn load() -> Value {
    json!([{"type": "LoadImageFromFile", "backend_args": null}, {"type": "LoadAnnotations", "with_bbox": true}])
}

fn mixed(root: &Path) -> Value {
    json!({"type": "MultiImageMixDataset", "dataset": leaf(root, load()), "pipeline": [
        {"type": "Mosaic", "img_scale": [64, 64], "pad_val": 114.0},
        {"type": "RandomAffine", "border": [-32, -32]},
        {"type": "MixUp", "img_scale": [64, 64]},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Resize", "scale": [64, 64], "keep_ratio": true},
        {"type": "Pad", "pad_to_square": true, "pad_val": {"img": [114.0, 114.0, 114.0]}},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": [1, 1], "keep_empty": false},
        {"type": "PackDetInputs"}]})
}

fn config() -> LoaderConfig {
    LoaderConfig { batch_size: 4, shuffle: true, seed: 9, ..LoaderConfig::default() }
}

fn loader(dataset: &Value, config: LoaderConfig) -> Loader {
    Loader::new(build_dataset(dataset).expect("a data set"), config)
}

fn batches(loader: &Loader, epoch: u64, start: u64) -> Vec<Batch> {
    loader.epoch(epoch, start).collect::<Result<_, _>>().expect("batches")
}

/// Bytes, boxes and labels.
type Content = (Vec<u8>, Vec<[f32; 4]>, Vec<i64>);

/// Everything of a batch that a model would see.
fn content(batch: &Batch) -> Vec<Content> {
    let of =
        |s: &snaphook_data::Sample| (s.image.data().to_vec(), s.boxes.clone(), s.labels.clone());
    batch.samples.iter().map(of).collect()
}

#[test]
fn batches_are_the_same_whatever_the_number_of_threads() {
    let folder = drawn();
    let all: Vec<Vec<_>> = [0, 1, 3]
        .map(|num_workers| {
            let loader = loader(&mixed(folder.path()), LoaderConfig { num_workers, ..config() });
            batches(&loader, 2, 0).iter().map(content).collect()
        })
        .into();
    assert_eq!(all[0].len(), 3);
    assert!(all[0] == all[1] && all[0] == all[2]);
}

#[test]
fn an_epoch_can_be_entered_in_the_middle() {
    let folder = drawn();
    let loader = loader(&mixed(folder.path()), LoaderConfig { num_workers: 2, ..config() });
    let (whole, rest) = (batches(&loader, 1, 0), batches(&loader, 1, 2));
    assert_eq!(rest.iter().map(|b| b.index).collect::<Vec<_>>(), [2]);
    assert_eq!(content(&whole[2]), content(&rest[0]));
    assert!(batches(&loader, 1, 99).is_empty());
}

#[test]
fn drop_last_and_ranks_change_the_number_of_batches() {
    let folder = drawn();
    let count = |drop_last, rank| {
        let loader =
            loader(&leaf(folder.path(), load()), LoaderConfig { drop_last, rank, ..config() });
        assert_eq!(batches(&loader, 0, 0).len() as u64, loader.len());
        loader.len()
    };
    let two = Rank { rank: 1, world: 2 };
    assert_eq!(
        [
            count(false, Rank::default()),
            count(true, Rank::default()),
            count(false, two),
            count(true, two)
        ],
        [3, 2, 2, 1]
    );
}

#[test]
fn skipped_types_take_effect_in_the_next_epoch_and_through_wrappers() {
    let folder = drawn();
    let repeated = json!({"type": "RepeatDataset", "times": 2, "dataset": mixed(folder.path())});
    let loader = loader(&repeated, config());
    assert_eq!(loader.dataset_len(), 20);
    let mut running = loader.epoch(0, 0);
    loader.set_skip_types(&["Mosaic", "RandomAffine", "MixUp"].map(str::to_owned));
    let old = running.next().expect("a batch").expect("no error");
    let new = &batches(&loader, 0, 0)[0];
    let plain =
        |batch: &Batch| batch.samples.iter().all(|s| s.boxes.len() == s.record.instances.len());
    assert!(!plain(&old) && plain(new));
    loader.set_skip_types(&[]);
    assert_eq!(content(&batches(&loader, 0, 0)[0]), content(&old));
}

#[test]
fn a_pipeline_can_be_replaced() {
    let folder = drawn();
    let loader = loader(&mixed(folder.path()), config());
    loader.set_pipeline(&json!([{"type": "Resize", "scale": [20, 30]}])).expect("a pipeline");
    assert!(
        batches(&loader, 0, 0).iter().flat_map(|b| &b.samples).all(|s| s.image.shape() == [30, 20])
    );
    assert!(loader.set_pipeline(&json!([{"type": "Resise", "scale": 3}])).is_err());
}

#[test]
fn a_size_reaches_each_part_and_outlives_another_pipeline() {
    let folder = drawn();
    let mut own = load();
    own.as_array_mut().unwrap().push(json!({"type": "Resize", "scale": [32, 32]}));
    let single = leaf(folder.path(), own);
    let parts = json!({"type": "ConcatDataset", "datasets": [mixed(folder.path()), single]});
    let loader = loader(&json!({"type": "RepeatDataset", "times": 1, "dataset": parts}), config());
    let before = loader.dataset().pipelines();
    loader.set_scale([96, 96]).expect("a size");
    let pipelines = loader.dataset().pipelines();
    let sizes = |pipelines: &[Vec<Value>], part: usize| {
        let steps = pipelines[part].iter();
        steps
            .flat_map(|step| [step["scale"].clone(), step["img_scale"].clone()])
            .collect::<Vec<_>>()
    };
    assert_eq!(pipelines.len(), 2);
    let changed = |part: usize| {
        let (old, new) = (sizes(&before, part), sizes(&pipelines, part));
        old.into_iter().zip(new).filter(|(old, new)| old != new).collect::<Vec<_>>()
    };
    assert_eq!(
        changed(0),
        [(json!([64, 64]), json!([96, 96])), (json!([64, 64]), json!([96, 96]))]
    );
    assert_eq!(changed(1), [(json!([32, 32]), json!([96, 96]))], "a pipeline of its own");
    let shapes = || {
        let all = batches(&loader, 0, 0).into_iter().flat_map(|batch| batch.samples);
        all.map(|sample| sample.image.shape()).collect::<Vec<_>>()
    };
    assert!(shapes().iter().all(|shape| *shape == [96, 96]), "{:?}", shapes());

    let mut other = load();
    other.as_array_mut().unwrap().push(json!({"type": "Resize", "scale": [20, 30]}));
    loader.set_pipeline(&other).expect("a pipeline");
    loader.set_skip_types(&["RandomFlip".to_owned()]);
    assert!(shapes().iter().all(|shape| *shape == [96, 96]), "{:?}", shapes());
}

#[test]
fn what_is_skipped_stays_skipped_in_another_pipeline() {
    let folder = drawn();
    let flips = |prob: f64| {
        let mut steps = load();
        steps.as_array_mut().unwrap().push(json!({"type": "RandomFlip", "prob": prob}));
        steps
    };
    let loader = loader(&leaf(folder.path(), flips(0.0)), config());
    loader.set_skip_types(&["RandomFlip".to_owned()]);
    loader.set_pipeline(&flips(1.0)).expect("a pipeline");
    let is_flipped = || batches(&loader, 0, 0).iter().flat_map(|b| &b.samples).any(|s| s.meta.flip);
    assert!(!is_flipped());
    loader.set_skip_types(&[]);
    assert!(is_flipped());
}

#[test]
fn a_pipeline_that_loads_no_picture_is_an_error() {
    let folder = drawn();
    let pipeline = json!([{"type": "LoadAnnotations", "with_bbox": true}]);
    let loader = loader(&leaf(folder.path(), pipeline), config());
    let error = loader.epoch(0, 0).next().expect("an answer").expect_err("no picture").to_string();
    assert!(error.contains("is LoadImageFromFile missing?"), "{error}");
}

#[test]
fn dropping_an_epoch_ends_its_threads() {
    let folder = drawn();
    let loader = loader(&mixed(folder.path()), LoaderConfig { num_workers: 4, ..config() });
    let mut epoch = loader.epoch(0, 0);
    epoch.next().expect("a batch").expect("no error");
    drop(epoch);
    let alive = Arc::strong_count(&loader.dataset());
    assert_eq!(alive, 2, "the loader's and ours: no thread holds one");
}

fn break_picture(root: &Path) -> String {
    let name = "train/00003.jpg";
    std::fs::write(root.join(name), b"this is no picture").expect("a written file");
    name.to_owned()
}

#[test]
fn a_broken_picture_ends_the_epoch_with_its_name() {
    let folder = drawn();
    let name = break_picture(folder.path());
    for num_workers in [0, 2] {
        let loader = loader(&mixed(folder.path()), LoaderConfig { num_workers, ..config() });
        let error = loader.epoch(0, 0).find_map(Result::err).expect("an error").to_string();
        assert!(error.contains(&name) && error.contains("expected a JPEG, PNG"), "{error}");
        let after_error = loader.epoch(0, 0).skip_while(Result::is_ok).count();
        assert_eq!(after_error, 1);
    }
}

#[test]
fn a_broken_picture_may_be_left_out_and_is_counted_once() {
    let folder = drawn();
    let name = break_picture(folder.path());
    let skip = LoaderConfig { on_bad_image: OnBadImage::Skip, ..config() };
    let loader = loader(&mixed(folder.path()), skip);
    for epoch in 0..2 {
        let samples: usize = batches(&loader, epoch, 0).iter().map(|b| b.samples.len()).sum();
        assert_eq!(samples, 10);
    }
    assert_eq!(loader.bad_image_count(), 1);

    let mut value = leaf(folder.path(), load());
    value["test_mode"] = json!(true);
    std::fs::remove_file(folder.path().join(name)).expect("a removed file");
    let in_test = self::loader(&value, LoaderConfig { shuffle: false, ..skip });
    let all = batches(&in_test, 0, 0);
    assert_eq!(all.iter().map(|b| b.samples.len()).collect::<Vec<_>>(), [3, 4, 2]);
    assert_eq!(in_test.bad_image_count(), 1);
}

#[test]
fn a_data_set_without_a_usable_picture_ends_with_an_error() {
    let folder = drawn();
    for entry in std::fs::read_dir(folder.path().join("train")).expect("a folder") {
        std::fs::write(entry.expect("an entry").path(), b"").expect("a written file");
    }
    let loader =
        loader(&mixed(folder.path()), LoaderConfig { on_bad_image: OnBadImage::Skip, ..config() });
    let error = loader.epoch(0, 0).next().expect("an item").expect_err("an error");
    assert!(matches!(error, DataError::NoUsableSample { .. }), "{error}");
}

fn build_error(value: &Value) -> String {
    build_dataset(value).err().expect("an error").to_string()
}

#[test]
fn wrong_annotations_name_the_file_and_the_id() {
    let folder = drawn();
    let path = folder.path().join("annotations/train.json");
    let good: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
    let message = |change: &dyn Fn(&mut Value)| {
        let mut broken = good.clone();
        change(&mut broken);
        std::fs::write(&path, broken.to_string()).expect("a written file");
        let message = build_error(&leaf(folder.path(), load()));
        assert!(message.contains("annotations/train.json"), "{message}");
        message
    };
    assert!(
        message(&|v| v["annotations"][2]["image_id"] = json!(777))
            .contains("annotation id 3: its image id 777")
    );
    assert!(
        message(&|v| v["annotations"][2]["category_id"] = json!(9))
            .contains("annotation id 3: its category id 9")
    );
    assert!(message(&|v| v["annotations"][2]["bbox"] = json!([1, 2])).contains("line"));
    assert!(message(&|v| v["images"][1]["id"] = json!(1)).contains("image id 1: occurs twice"));
    assert!(
        message(&|v| v["categories"] = json!([{"id": 1, "name": "cat"}])).contains("category id")
    );
    assert!(message(&|v| *v = json!("text")).contains("not COCO annotations"));
    std::fs::remove_file(&path).expect("a removed file");
    assert!(
        build_error(&leaf(folder.path(), load()))
            .contains("annotations/train.json: cannot be read")
    );
}

#[test]
fn degenerate_boxes_are_left_out_and_crowds_are_marked() {
    let folder = drawn();
    let boxes = [
        ([5, 5, 10, 10], 100, 0),   // good
        ([5, 5, 10, 10], 100, 1),   // a crowd
        ([5, 5, 0, 10], 0, 0),      // no width
        ([5, 5, 10, 10], 0, 0),     // no area
        ([60, 60, 10, 10], 100, 0), // outside
        ([-5, 40, 20, 20], 400, 0), // sticks out
    ];
    let annotations: Vec<Value> = boxes
        .iter()
        .enumerate()
        .map(|(i, (bbox, area, crowd))| {
            json!({"id": i, "image_id": 1, "category_id": 2, "bbox": bbox, "area": area, "iscrowd": crowd})
        })
        .collect();
    let file = json!({"images": [{"id": 1, "file_name": "00000.jpg", "width": 48, "height": 48}],
        "categories": [{"id": 1, "name": "circle"}, {"id": 2, "name": "square"}], "annotations": annotations});
    std::fs::write(folder.path().join("annotations/train.json"), file.to_string())
        .expect("a written file");
    let mut value = leaf(folder.path(), load());
    value["metainfo"]["classes"] = json!(["circle", "square"]);
    let dataset = build_dataset(&value).expect("a data set");
    let instances = &dataset.record(0).instances;
    assert_eq!(
        instances.iter().map(|i| (i.label, i.ignore)).collect::<Vec<_>>(),
        [(1, false), (1, true), (1, false)]
    );
    assert_eq!(instances[0].bbox, [5.0, 5.0, 15.0, 15.0]);
    assert_eq!(instances[2].bbox, [-5.0, 40.0, 15.0, 60.0]);
}

#[test]
fn a_picture_of_another_size_than_its_annotations_say_is_taken_as_it_is() {
    let folder = drawn();
    let file = json!({"images": [{"id": 1, "file_name": "00000.jpg", "width": 500, "height": 400}],
        "categories": [{"id": 1, "name": "circle"}], "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 90, 10], "area": 900}]});
    let path = folder.path().join("annotations/train.json");
    std::fs::write(path, file.to_string()).expect("a written file");
    let mut pipeline = load();
    let resize = json!({"type": "Resize", "scale": [24, 24], "keep_ratio": true});
    pipeline.as_array_mut().expect("a list").push(resize);
    let mut value = leaf(folder.path(), pipeline);
    value["metainfo"]["classes"] = json!(["circle"]);
    let loader = loader(&value, config());
    let sample = &batches(&loader, 0, 0)[0].samples[0];
    assert_eq!((sample.meta.ori_shape, sample.meta.img_shape), ([48, 48], [24, 24]));
    // As with MMDetection, the box is scaled with the picture and cut at its rim.
    assert_eq!(sample.boxes, [[2.5, 2.5, 24.0, 7.5]]);
}

#[test]
fn wrong_configuration_names_the_nearest() {
    let folder = drawn();
    let mut value = leaf(folder.path(), load());
    value["filter_cgf"] = json!({});
    assert_eq!(
        build_error(&value),
        "CocoDataset.filter_cgf: unknown key of CocoDataset (did you mean `filter_cfg`?)"
    );
    assert_eq!(
        build_error(&json!({"type": "CoccoDataset"})),
        "dataset.type: \"CoccoDataset\" is no data set (did you mean `CocoDataset`?)"
    );
    let other = leaf(folder.path(), json!([{"type": "Mosaic"}]));
    assert!(build_error(&other).contains("MultiImageMixDataset"));
}

#[test]
fn indices_and_concatenation() {
    let folder = drawn();
    let part = |indices: Value| {
        let mut value = leaf(folder.path(), load());
        value["indices"] = indices;
        value
    };
    let both = json!({"type": "ConcatDataset", "datasets": [part(json!(2)), part(json!(-3)), part(json!([4, 0]))]});
    let dataset = build_dataset(&both).expect("a data set");
    let ids: Vec<String> =
        (0..dataset.len()).map(|i| dataset.record(i).img_id.to_string()).collect();
    assert_eq!(ids, ["1", "2", "8", "9", "10", "5", "1"]);
    assert!(build_error(&part(json!([99]))).contains("CocoDataset.indices"));
}

/// A data set of 12 pictures: each third one is high, and has a circle; the others have squares.
fn unlike(root: &Path) -> Value {
    unlike_of(root, 12, load())
}

fn unlike_of(root: &Path, pictures: usize, pipeline: Value) -> Value {
    let mut file = json!({"images": [], "annotations": [], "categories": [
        {"id": 1, "name": "circle"}, {"id": 2, "name": "square"}]});
    for id in 0..pictures {
        let is_high = id % 3 == 0;
        let (width, height) = if is_high { (40, 50) } else { (50, 40) };
        let name = format!("{id}.png");
        snaphook_data::Image::filled(width, height, [9; 3])
            .save(&root.join(&name))
            .expect("a file");
        let image = json!({"id": id, "file_name": name, "width": width, "height": height});
        file["images"].as_array_mut().expect("a list").push(image);
        let category = if is_high { 1 } else { 2 };
        let bbox = json!({"id": id, "image_id": id, "category_id": category, "bbox": [1, 1, 9, 9]});
        file["annotations"].as_array_mut().expect("a list").push(bbox);
    }
    std::fs::write(root.join("all.json"), file.to_string()).expect("a file");
    json!({"type": "CocoDataset", "data_root": root, "ann_file": "all.json",
        "metainfo": {"classes": ["circle", "square"]}, "pipeline": pipeline})
}

fn entry(dataset: Value, extra: Value) -> Loader {
    let mut entry = json!({"batch_size": 2, "dataset": dataset});
    entry.as_object_mut().expect("a dict").extend(extra.as_object().expect("a dict").clone());
    Loader::from_config(&entry, LoaderConfig { seed: 4, ..LoaderConfig::default() })
        .expect("a loader")
}

#[test]
fn aspect_ratio_batches_hold_pictures_of_one_orientation_and_can_be_entered_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let loader = entry(
        unlike(folder.path()),
        json!({"num_workers": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": true},
        "batch_sampler": {"type": "AspectRatioBatchSampler"}}),
    );
    let is_high = |batch: &Batch| -> Vec<bool> {
        batch.samples.iter().map(|s| s.image.height() > s.image.width()).collect()
    };
    for epoch in 0..3 {
        let all = batches(&loader, epoch, 0);
        assert_eq!((all.len(), loader.len()), (6, 6));
        assert!(all.iter().all(|batch| is_high(batch).windows(2).all(|pair| pair[0] == pair[1])));
        assert_eq!(all.iter().filter(|batch| is_high(batch)[0]).count(), 2);
        for start in 0..6 {
            let rest = batches(&loader, epoch, start);
            let same = rest.iter().zip(&all[start as usize..]);
            assert!(same.clone().count() == 6 - start as usize);
            same.for_each(|(ours, whole)| assert_eq!(content(ours), content(whole)));
        }
    }
}

/// Which picture, of which size, with its boxes, which a flip moves.
type Drawn = (String, [usize; 2], Vec<[f32; 4]>);

/// 13 pictures that are turned and resized at random.
fn thirteen(root: &Path) -> Arc<dyn Dataset> {
    let mut pipeline = load();
    let steps = pipeline.as_array_mut().expect("a list");
    steps.push(json!({"type": "RandomFlip", "prob": 0.5}));
    steps.push(json!({"type": "RandomResize", "scale": [60, 60], "ratio_range": [0.5, 2.0], "keep_ratio": true}));
    build_dataset(&unlike_of(root, 13, pipeline)).expect("a data set")
}

fn of_rank(dataset: &Arc<dyn Dataset>, extra: &Value, batch_size: usize, rank: Rank) -> Loader {
    let mut entry = json!({"batch_size": batch_size, "dataset": {}});
    entry.as_object_mut().expect("a dict").extend(extra.as_object().expect("a dict").clone());
    let defaults = LoaderConfig { seed: 4, rank, ..LoaderConfig::default() };
    Loader::new(dataset.clone(), LoaderConfig::from_config(&entry, defaults).expect("settings"))
}

fn draws(loader: &Loader, epoch: u64) -> Vec<Vec<Drawn>> {
    let of =
        |s: &snaphook_data::Sample| (s.meta.img_id.to_string(), s.image.shape(), s.boxes.clone());
    let all = batches(loader, epoch, 0);
    assert_eq!(all.len() as u64, loader.len());
    all.iter().map(|batch| batch.samples.iter().map(of).collect()).collect()
}

/// The steps of an epoch with the samples of all ranks.
fn joined(
    dataset: &Arc<dyn Dataset>,
    extra: &Value,
    [batch_size, world]: [usize; 2],
    epoch: u64,
) -> Vec<Vec<Drawn>> {
    let rank = |rank| draws(&of_rank(dataset, extra, batch_size, Rank { rank, world }), epoch);
    let ranks: Vec<_> = (0..world).map(rank).collect();
    assert!(ranks.iter().all(|own| own.len() == ranks[0].len()), "as many steps on every rank");
    let step = |at: usize| {
        let own = |sample: usize| ranks.iter().map(move |rank| rank[at][sample].clone());
        (0..ranks[0][at].len()).flat_map(own).collect()
    };
    (0..ranks[0].len()).map(step).collect()
}

#[test]
fn ranks_see_the_batches_of_one_process_whatever_the_sampler() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = thirteen(folder.path());
    let grouped = json!({"type": "AspectRatioBatchSampler"});
    let samplers = [
        json!({"type": "DefaultSampler", "shuffle": true}),
        json!({"type": "InfiniteSampler"}),
        json!({"type": "ClassAwareSampler", "num_sample_class": 2}),
    ];
    for (sampler, batch_sampler) in
        samplers.iter().flat_map(|one| [(one, Value::Null), (one, grouped.clone())])
    {
        for drop_last in [false, true] {
            let extra =
                json!({"sampler": sampler, "batch_sampler": batch_sampler, "drop_last": drop_last});
            // Steps of the whole, that do not divide the data, and one that is more than it.
            for (world, own) in [(2, 2), (3, 1), (3, 2), (5, 3)] {
                for epoch in 0..3 {
                    let alone = joined(&dataset, &extra, [world * own, 1], epoch);
                    let together = joined(&dataset, &extra, [own, world], epoch);
                    assert_eq!(alone.len(), together.len(), "{extra} {world}");
                    for (alone, together) in alone.iter().zip(&together) {
                        let is_full = alone.len() == world * own;
                        assert!(is_full || (!drop_last && sampler["type"] != "InfiniteSampler"));
                        // What a last step lacks is repeated, so that all ranks have as many.
                        assert_eq!(together[..alone.len()], alone[..], "{extra} {world} x {own}");
                        assert_eq!(together.len(), alone.len().next_multiple_of(world));
                    }
                }
            }
        }
    }
}

#[test]
fn without_round_up_what_all_ranks_cannot_share_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = thirteen(folder.path());
    let sampler =
        json!({"sampler": {"type": "DefaultSampler", "shuffle": true, "round_up": false}});
    let together = joined(&dataset, &sampler, [2, 3], 0);
    assert_eq!(together.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6]);
    assert_eq!(together.concat(), joined(&dataset, &sampler, [13, 1], 0)[0][..12]);
}

#[test]
fn at_a_step_all_ranks_have_pictures_of_one_orientation() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = thirteen(folder.path());
    let extra = json!({"sampler": {"type": "DefaultSampler", "shuffle": true},
        "batch_sampler": {"type": "AspectRatioBatchSampler"}});
    let steps = joined(&dataset, &extra, [1, 2], 0);
    let is_high = |(_, [height, width], _): &Drawn| height > width;
    let is_mixed = |step: &Vec<Drawn>| step.iter().any(|one| is_high(one) != is_high(&step[0]));
    assert!(steps.len() == 7 && !steps[..5].iter().any(is_mixed), "{steps:?}");
}

#[test]
fn an_evaluation_has_the_batches_of_one_process_whoever_makes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = thirteen(folder.path());
    for extra in [
        json!({}),
        json!({"drop_last": true}),
        json!({"sampler": {"type": "InfiniteSampler"}}),
        json!({"batch_sampler": {"type": "AspectRatioBatchSampler"}}),
    ] {
        let of = |rank| of_rank(&dataset, &extra, 3, rank).sharing_batches();
        let alone = draws(&of(Rank::default()), 0);
        for world in [2, 3, 7] {
            let loaders: Vec<_> = (0..world).map(|rank| of(Rank { rank, world })).collect();
            assert!(loaders.iter().all(|loader| loader.batches_of_all() == alone.len()));
            let first_two: usize = loaders.iter().map(|loader| loader.share_of(2)).sum();
            assert_eq!(first_two, 2);
            let mut ranks: Vec<_> =
                loaders.iter().map(|loader| draws(loader, 0).into_iter()).collect();
            for (at, batch) in alone.iter().enumerate() {
                assert_eq!(ranks[at % world].next().as_ref(), Some(batch), "{extra} {world}");
            }
            assert!(ranks.iter_mut().all(|own| own.next().is_none()));
        }
    }
}

#[test]
fn class_aware_epochs_hold_as_many_of_each_class() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampler = json!({"sampler": {"type": "ClassAwareSampler"}});
    let loader = entry(unlike(folder.path()), sampler);
    let labels: Vec<i64> = batches(&loader, 0, 0)
        .iter()
        .flat_map(|batch| batch.samples.iter().map(|s| s.labels[0]))
        .collect();
    assert_eq!((labels.len(), labels.iter().sum::<i64>()), (12, 6));
}

#[test]
fn classes_in_turn_need_a_class() {
    let folder = drawn();
    let path = folder.path().join("annotations/train.json");
    let mut file: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
    file["annotations"] = json!([]);
    std::fs::write(&path, file.to_string()).expect("a written file");
    let mut dataset = leaf(folder.path(), load());
    dataset["filter_cfg"] = json!({});
    let value = json!({"dataset": dataset, "sampler": {"type": "ClassAwareSampler"}});
    let message = Loader::from_config(&value, config()).err().expect("an error").to_string();
    assert!(message.contains("ClassAwareSampler: expected a data set with objects"), "{message}");
}

#[test]
fn rare_classes_are_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let balanced = |oversample_thr: f64| {
        let value = json!({"type": "ClassBalancedDataset", "oversample_thr": oversample_thr,
            "dataset": unlike(folder.path())});
        let dataset = build_dataset(&value).expect("a data set");
        let ids: Vec<String> =
            (0..dataset.len()).map(|i| dataset.record(i).img_id.to_string()).collect();
        ids.join(" ")
    };
    assert_eq!(balanced(0.3), "0 1 2 3 4 5 6 7 8 9 10 11");
    // A third of the pictures have a circle: sqrt(0.5 / 0.333) is 1.2, which is twice.
    assert_eq!(balanced(0.5), "0 0 1 2 3 3 4 5 6 6 7 8 9 9 10 11");
}

#[test]
fn a_mosaic_can_stand_in_the_data_set_s_own_pipeline() {
    let folder = drawn();
    let mut pipeline = load();
    pipeline.as_array_mut().expect("a list").extend([
        json!({"type": "CachedMosaic", "img_scale": [48, 48]}),
        json!({"type": "RandomResize", "scale": [96, 96], "ratio_range": [0.5, 1.0], "keep_ratio": true}),
        json!({"type": "RandomCrop", "crop_size": [48, 48], "allow_negative_crop": true}),
        json!({"type": "CachedMixUp", "img_scale": [48, 48]}),
    ]);
    let value = leaf(folder.path(), pipeline);
    let of = |num_workers| {
        let loader = loader(&value, LoaderConfig { num_workers, ..config() });
        batches(&loader, 0, 0).iter().map(content).collect::<Vec<_>>()
    };
    let (one, two) = (of(0), of(2));
    assert!(one == two, "the same whatever the number of threads");
    let most = one.iter().flatten().map(|(_, boxes, _)| boxes.len()).max();
    assert!(most > Some(5), "no picture has more than 5 objects of its own");
}

#[test]
fn xml_data_sets_need_classes() {
    let folder = drawn();
    std::fs::write(folder.path().join("list.txt"), "a\na\n").expect("a list");
    let value = json!({"type": "XMLDataset", "data_root": folder.path(), "ann_file": "list.txt"});
    assert!(build_error(&value).contains("XMLDataset.metainfo: expected classes"));
    std::fs::create_dir(folder.path().join("Annotations")).expect("a folder");
    let xml = "<annotation><size><width>48</width><height>48</height></size></annotation>";
    std::fs::write(folder.path().join("Annotations/a.xml"), xml).expect("an annotation");
    let mut value = value;
    value["metainfo"] = json!({"classes": ["circle"]});
    assert!(build_error(&value).contains("list.txt: a: occurs twice"));
}

#[test]
fn pascal_voc_is_read() {
    let folder = drawn();
    let at = |name: &str| folder.path().join(name);
    for name in ["Annotations", "JPEGImages"] {
        std::fs::create_dir_all(at(name)).expect("a folder");
    }
    std::fs::copy(at("train/00000.jpg"), at("JPEGImages/a.jpg")).expect("a copy");
    std::fs::write(at("list.txt"), "a\n").expect("a list");
    let object = |name: &str, corners: [i32; 4], difficult: u8| {
        let [x1, y1, x2, y2] = corners;
        format!(
            "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        )
    };
    let write = |objects: &str| {
        let xml = format!(
            "<annotation><size><width>48</width><height>48</height></size>{objects}</annotation>"
        );
        std::fs::write(at("Annotations/a.xml"), xml).expect("an annotation");
    };
    let value = json!({"type": "VOCDataset", "data_root": folder.path(), "ann_file": "list.txt",
        "data_prefix": {"sub_data_root": ""}, "metainfo": {"classes": ["RBC", "WBC"]}, "pipeline": load()});
    write(
        &[
            object("WBC", [2, 3, 12, 13], 0),
            object("RBC", [1, 1, 9, 9], 1),
            object("tree", [1, 1, 9, 9], 0),
            object("RBC", [7, 7, 7, 7], 0),
        ]
        .concat(),
    );
    let dataset = build_dataset(&value).expect("a data set");
    let found: Vec<_> =
        dataset.record(0).instances.iter().map(|i| (i.label, i.ignore, i.bbox)).collect();
    assert_eq!(found, [(1, false, [1.0, 2.0, 11.0, 12.0]), (0, true, [0.0, 0.0, 8.0, 8.0])]);

    write("<object><name>WBC</name></object>");
    assert!(build_error(&value).contains("a.xml: object WBC: has no <bndbox>"));
    std::fs::write(at("Annotations/a.xml"), "<annotation").expect("an annotation");
    assert!(build_error(&value).contains("a.xml: not XML"));
}
