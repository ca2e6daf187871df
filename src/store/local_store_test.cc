#include "store/local_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/process.h"
#include "store/fault_store.h"
#include "store/store_contract.h"

namespace holdfast {
namespace {

struct LocalStoreFixture {
  TempFolder folder{"holdfast-store-"};
  std::unique_ptr<ObjectStore> local = make_local_store(folder.path() + "/not/yet/there");
  ObjectStore& store() { return *local; }
};

// A decorator with nothing to inject must be as good as what it wraps.
struct FaultStoreFixture : LocalStoreFixture {
  FaultStore faulty{*local};
  ObjectStore& store() { return faulty; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Local, StoreContract, LocalStoreFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Fault, StoreContract, FaultStoreFixture);

std::vector<std::string> files_under(const std::string& folder) {
  std::vector<std::string> found;
  if (!std::filesystem::exists(folder)) return found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (!entry.is_directory()) found.push_back(entry.path().string());
  return found;
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class LocalStoreTest : public testing::Test {
 protected:
  TempFolder folder_{"holdfast-store-"};
  std::string root_ = folder_.path() + "/backups";
  std::unique_ptr<ObjectStore> store_ = make_local_store(root_);
};

TEST_F(LocalStoreTest, ObjectsArePlainFilesForTheOwnerOnly) {
  write_object(*store_, "care.dump", as_bytes("PGDMP"));
  write_object(*store_, "sub/care.dump", as_bytes("PGDMP"));
  EXPECT_EQ(read_file(root_ + "/care.dump", 100), "PGDMP");
  EXPECT_EQ(mode_of(root_ + "/care.dump"), 0600u);
  EXPECT_EQ(mode_of(root_), 0700u);
  EXPECT_EQ(mode_of(root_ + "/sub"), 0700u);
  EXPECT_EQ(store_->location(), root_);
}

TEST_F(LocalStoreTest, ReadingMakesNoFolder) {
  EXPECT_TRUE(store_->list("").empty());
  EXPECT_EQ(store_->reap_unfinished(clear_all), 0u);
  store_->check_writable(1);
  EXPECT_FALSE(file_exists(root_));
}

TEST_F(LocalStoreTest, UnfinishedFilesStandBesideTheirPlace) {
  std::unique_ptr<ObjectWriter> writer = store_->put("sub/care.dump");
  writer->write(as_bytes("x"));
  std::vector<std::string> files = files_under(root_);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(files[0].starts_with(root_ + "/sub/.holdfast-")) << files[0];
  EXPECT_TRUE(files[0].ends_with(".partial")) << files[0];
  EXPECT_EQ(mode_of(files[0]), 0600u);
  writer.reset();
  EXPECT_TRUE(files_under(root_).empty());
}

TEST_F(LocalStoreTest, FilesOfOthersAreLeftAlone) {
  make_folders(root_ + "/.git");
  for (const char* name : {".holdfast.lock", "x.partial", ".hidden.partial", ".git/config",
                           "my:notes.txt", "\xFF.dump"})
    std::ofstream(root_ + "/" + name) << "theirs";
  std::ofstream(root_ + "/plain.dump") << "theirs";
  std::ofstream(root_ + "/.holdfast-0123.partial") << "ours, crashed";
  std::vector<ObjectInfo> listed = store_->list("");
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].name, "plain.dump");
  EXPECT_EQ(listed[1].name, "x.partial");
  EXPECT_EQ(store_->reap_unfinished(clear_all), 1u);
  EXPECT_EQ(files_under(root_).size(), 7u);
}

TEST_F(LocalStoreTest, LinksToFilesCountAndLinksToFoldersAreNotFollowed) {
  std::string elsewhere = folder_.path() + "/elsewhere";
  make_folders(elsewhere);
  std::ofstream(elsewhere + "/old.dump") << "moved";
  write_object(*store_, "a", as_bytes("a"));
  std::filesystem::create_symlink(elsewhere + "/old.dump", root_ + "/old.dump");
  std::filesystem::create_symlink(root_, root_ + "/circle");
  std::filesystem::create_symlink("nowhere", root_ + "/dangling");
  std::vector<ObjectInfo> listed = store_->list("");
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[1].name, "old.dump");
  EXPECT_EQ(listed[1].bytes, 5u);
  EXPECT_ERROR(not_found, store_->open("circle"));
  EXPECT_ERROR(not_found, store_->head("circle"));
  EXPECT_ERROR(exists, store_->put("old.dump")->commit());
}

TEST_F(LocalStoreTest, AFileInTheFoldersPlaceIsNamedWithAHint) {
  std::ofstream(root_) << "a file";
  std::unique_ptr<ObjectStore> below = make_local_store(root_ + "/deeper");
  for (ObjectStore* store : {store_.get(), below.get()}) {
    for (int step = 0; step < 2; ++step) {
      try {
        step == 0 ? store->check_writable(1) : write_object(*store, "a", as_bytes("a"));
        ADD_FAILURE() << "nothing was thrown";
      } catch (const Error& error) {
        EXPECT_EQ(error_code_name(error.code()), "invalid") << error.what();
        EXPECT_NE(std::string(error.what()).find(root_), std::string::npos) << error.what();
        EXPECT_FALSE(error.hint().empty());
      }
    }
  }
  EXPECT_ERROR(invalid, store_->list(""));
}

// /proc takes no files, not even root's.
TEST_F(LocalStoreTest, AFolderThatTakesNoFilesIsNamed) {
  std::unique_ptr<ObjectStore> proc = make_local_store("/proc/sys/kernel");
  EXPECT_THROW(proc->check_writable(1), Error);
  EXPECT_THROW(write_object(*proc, "a", as_bytes("a")), Error);
}

TEST_F(LocalStoreTest, TooLittleSpaceSaysHowMuchIsNeeded) {
  uint64_t needed = uint64_t{1} << 55;
  try {
    store_->check_writable(needed);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_NE(std::string(error.what()).find("32.0 PiB"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(" free"), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty());
  }
}

// Needs root to become a user whom the folder's rights hem in; an ordinary user is one already.
TEST_F(LocalStoreTest, AFolderWithoutRightsIsDenied) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  make_folders(root_);
  ASSERT_EQ(::chmod(root_.c_str(), 0500), 0);
  EXPECT_ERROR(denied, store_->check_writable(1));
  EXPECT_ERROR(denied, write_object(*store_, "a", as_bytes("a")));
  EXPECT_ERROR(denied, make_local_store(root_ + "/new")->check_writable(1));
}

TEST_F(LocalStoreTest, AnUnnamedFolderIsRefused) {
  EXPECT_ERROR(invalid, make_local_store(""));
}

TEST_F(LocalStoreTest, AFullDiskLeavesNothingVisibleAndHasAHint) {
  FaultStore full(*store_, {.space_bytes = 1'000'000});
  try {
    std::unique_ptr<ObjectWriter> writer = full.put("care.dump");
    for (int i = 0; i < 100; ++i) writer->write(as_bytes(patterned_bytes(30'000)));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_LE(full.bytes_written(), 1'000'000u);
  EXPECT_TRUE(files_under(root_).empty());
}

// The loop that every user of a store is tested with, on the smallest user there is.
TEST_F(LocalStoreTest, FailingAnyOperationLeavesAWholeObjectOrNone) {
  FaultStore faulty(*store_);
  for (bool after : {false, true}) {
    for (uint64_t at = 1;; ++at) {
      faulty.restart({.fail_at = at, .after_effect = after});
      bool failed = false;
      try {
        write_object(faulty, "care.dump", as_bytes("content"));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        failed = true;
      }
      faulty.restart({});
      std::vector<std::string> files = files_under(root_);
      bool visible = !faulty.list("").empty();
      EXPECT_EQ(files.size(), visible ? 1u : 0u) << at;
      if (visible) {
        EXPECT_EQ(read_object(faulty, "care.dump", 100), "content");
      }
      EXPECT_EQ(visible, !failed || (after && at == 3)) << at;
      faulty.remove("care.dump");
      if (!failed) {
        EXPECT_EQ(at, 4u);  // put, write, commit
        break;
      }
    }
  }
}

TEST_F(LocalStoreTest, LaterOperationsFailTooIfAsked) {
  FaultStore gone(*store_, {.fail_at = 2, .and_later = true, .code = ErrorCode::denied});
  EXPECT_TRUE(gone.list("").empty());
  EXPECT_ERROR(denied, gone.list(""));
  EXPECT_ERROR(denied, gone.head("a"));
  EXPECT_EQ(gone.operations(), 3u);
}

}  // namespace
}  // namespace holdfast
