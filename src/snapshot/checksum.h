/* SPDX-License-Identifier: MIT */
/*
 * CRC-64 as .xz files have it (ECMA-182, reflected, inverted at both ends).
 *
 * Called by: the other files of this folder. Pure.
 */
#ifndef SNAPSHOT_CHECKSUM_H
#define SNAPSHOT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum_crc64(const void *bytes, size_t count);

#endif
