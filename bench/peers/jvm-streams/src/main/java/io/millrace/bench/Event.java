package io.millrace.bench;

/** What the job needs of an event. */
record Event(String type, double value) {}
