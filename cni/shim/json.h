// The two things that the shim does with JSON: it finds a top-level value, and it quotes a string. This is no parser. The server
// judges whether the configuration is valid JSON.
#ifndef SMARTNIC_JSON_H
#define SMARTNIC_JSON_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define JSON_SPACE " \t\r\n"

/** The closing quote of the string whose opening quote is at `p`. NULL when the text ends before it. */
static const char *json_string_end(const char *p) {
  for (p++; *p && *p != '"'; p++) {
    if (*p == '\\' && !*++p) return NULL;
  }
  return *p ? p : NULL;
}

/**
 * The beginning of the value of `key` in the object `text` (NUL-terminated), or NULL. Nested objects and strings are skipped. If a key
 * is repeated, the last one counts, as in JSON.parse. Keys are compared as they are written, so a key with \u escapes is not found.
 */
static const char *json_find(const char *text, const char *key) {
  const char *found = NULL;
  int depth = 0;
  for (const char *p = text; *p; p++) {
    if (*p == '{' || *p == '[') depth++;
    if (*p == '}' || *p == ']') depth--;
    if (*p != '"') continue;
    const char *name = p + 1;
    p = json_string_end(p);
    if (!p) break;
    const char *colon = p + 1 + strspn(p + 1, JSON_SPACE);
    // Only a key is followed by a colon. A string value is not.
    if (depth != 1 || *colon != ':' || strlen(key) != (size_t)(p - name) || memcmp(name, key, strlen(key)) != 0) continue;
    found = colon + 1 + strspn(colon + 1, JSON_SPACE);
  }
  return found;
}

/** The number of bytes of the well-formed UTF-8 character at `p` (Unicode table 3-7), or 0. Never reads past a NUL. */
static size_t utf8_length(const unsigned char *p) {
  if (*p < 0x80) return 1;
  size_t length = *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
  unsigned char lowest = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
  unsigned char highest = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < length; i++) {
    if (p[i] < (i == 1 ? lowest : 0x80) || p[i] > (i == 1 ? highest : 0xbf)) return 0;
  }
  return length;
}

/** Writes `text` as a JSON string to `to`, which has room for 6 bytes per byte and 3 more. Returns the position of its NUL. */
static char *json_quote(char *to, const char *text) {
  *to++ = '"';
  for (const unsigned char *p = (const unsigned char *)text; *p;) {
    size_t length = utf8_length(p);
    if (length == 0) {
      to += sprintf(to, "\\ufffd");
      p++;
    } else if (*p < 0x20 || *p == 0x7f) {
      to += sprintf(to, "\\u%04x", *p++);
    } else {
      if (*p == '"' || *p == '\\') *to++ = '\\';
      while (length--) *to++ = (char)*p++;
    }
  }
  *to++ = '"';
  *to = '\0';
  return to;
}

#endif
