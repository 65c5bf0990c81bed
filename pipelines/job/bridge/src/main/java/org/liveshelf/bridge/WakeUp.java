package org.liveshelf.bridge;

import java.io.FileInputStream;
import java.io.IOException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that reads a pipe: a byte in it says that Python has something to emit. Python's own threads touch no Java
 * object. It ends when Python closes its end of the pipe.
 */
final class WakeUp {
    private static final Logger LOG = LoggerFactory.getLogger(WakeUp.class);
    private final AtomicBoolean pending = new AtomicBoolean();
    private volatile boolean stopped;

    /** descriptor: of the end to read; call: what tells the task thread, once until `taken`. */
    static WakeUp start(int descriptor, Runnable call) throws IOException {
        FileInputStream pipe = new FileInputStream("/proc/self/fd/" + descriptor);
        WakeUp wakeUp = new WakeUp();
        Thread thread = new Thread(() -> wakeUp.follow(pipe, call), "liveshelf-wake-up");
        thread.setDaemon(true);
        thread.start();
        return wakeUp;
    }

    /** The task thread looks at what is ready now. */
    void taken() {
        pending.set(false);
    }

    void stop() {
        stopped = true;
    }

    private void follow(FileInputStream pipe, Runnable call) {
        byte[] bytes = new byte[64];
        try (pipe) {
            while (pipe.read(bytes) > 0 && !stopped) {
                if (pending.compareAndSet(false, true)) {
                    call.run();
                }
            }
        } catch (RejectedExecutionException ended) {
            // the task ends
        } catch (IOException error) {
            if (!stopped) {
                LOG.error("lists wait for the next record or timer: the pipe that tells of them failed", error);
            }
        }
    }
}
