// Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
// The engine for one level of instructions: compiled with -DLEVEL=<name> and that level's flags, see `build.py`.
#include "loop.hpp"

#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)

#define POINTER(name, arguments) (const void*)LEVEL::name,
extern "C" __attribute__((visibility("hidden"))) const void* const NAME(functions_, LEVEL)[] = {FUNCTIONS(POINTER)};
