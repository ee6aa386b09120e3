package io.millrace.bench;

import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.processor.StateRestoreListener;

/** When the first store began to be restored, and how many records that took in all. */
class Restore implements StateRestoreListener {
  final AtomicLong records = new AtomicLong();
  private volatile Moment start;

  Moment start() {
    if (start == null) throw new IllegalStateException("nothing was restored");
    return start;
  }

  @Override
  public synchronized void onRestoreStart(TopicPartition partition, String store, long from, long to) {
    if (start == null) start = Moment.now();
  }

  @Override
  public void onBatchRestored(TopicPartition partition, String store, long end, long batch) {
    records.addAndGet(batch);
  }

  @Override
  public void onRestoreEnd(TopicPartition partition, String store, long total) {}
}
