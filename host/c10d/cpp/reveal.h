// Members that libtorch keeps to itself and its subclasses, or to itself alone: who may name them is asked for where a name is
// written, and not where a template is instantiated by itself.
#pragma once

namespace snaphook {

template <typename Tag, typename Tag::Member member>
struct Reveal {
  friend typename Tag::Member reveal(Tag) {
    return member;
  }
};

// The parameters that took no part in the last backward pass.
struct LeftOut {
  using Member = std::vector<size_t> (c10d::Reducer::*)();
  friend Member reveal(LeftOut);
};
template struct Reveal<LeftOut, &c10d::Reducer::getUnmarkedParamIndicesForIteration>;

// The group over which a checked one compares what ranks are about to do.
struct Comparing {
  using Member = c10::intrusive_ptr<c10d::Backend> c10d::ProcessGroupWrapper::*;
  friend Member reveal(Comparing);
};
template struct Reveal<Comparing, &c10d::ProcessGroupWrapper::glooBackend_>;

// The connections of a group.
struct Contexts : c10d::ProcessGroupGloo {
  static auto member() {
    return &Contexts::contexts_;
  }
};

// Where a reducer stands.
struct Standing : c10d::Reducer {
  static auto has_made_buckets_anew() {
    return &Standing::has_rebuilt_bucket_;
  }
  static auto awaits_gradients() {
    return &Standing::expect_autograd_hooks_;
  }
  static auto is_unfinished() {
    return &Standing::require_finalize_;
  }
};

} // namespace snaphook
