// For tests: an engine over a fake world, and what most tests do with it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fakes.h"

namespace holdfast {

using std::chrono::seconds;
using testing::HasSubstr;

class EngineTest : public testing::Test {
 protected:
  void open() {
    engine.reset();
    engine = open_fake_engine(world, settings);
    for (const neon::Branch& branch : engine->branches({}).branches)
      if (branch.name == "main") main = branch.id;
  }
  void SetUp() override {
    settings = fake_settings(world);
    world.clock.advance(seconds(200));
    open();
  }
  neon::Changed create(const std::string& name, bool endpoint = true,
                       const std::optional<std::string>& parent = {}) {
    neon::BranchCreateRequest request;
    request.name = name;
    request.parent_id = parent;
    if (endpoint) request.endpoints.emplace_back();
    return engine->create_branch(request);
  }
  void settle() {
    for (const neon::Operation& operation : engine->wait(engine->operations(100, ""), seconds(10)))
      EXPECT_TRUE(operation.ended()) << operation.action;
  }
  std::vector<std::string> names(const BranchQuery& query = {}) {
    std::vector<std::string> names;
    for (const neon::Branch& branch : engine->branches(query).branches)
      names.push_back(branch.name);
    return names;
  }
  template <typename Work>
  std::string message_of(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  FakeWorld world;
  EngineSettings settings;
  std::unique_ptr<EngineCore> engine;
  std::string main;
};

}  // namespace holdfast
