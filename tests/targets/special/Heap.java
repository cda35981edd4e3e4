// SPDX-License-Identifier: MIT

// Has the class library allocate natively, from compiled and interpreted code: tests/e2e/languages.c.
import java.util.zip.Deflater;

public class Heap {
    public static void main(String[] arguments) {
        byte[] output = new byte[4096];
        int sum = 0;
        for (int i = 0; i < 200; i++) {
            Deflater deflater = new Deflater();
            deflater.setInput(new byte[1000]);
            deflater.finish();
            sum += deflater.deflate(output);
            deflater.end();
        }
        System.out.println(sum > 0 ? "done" : "nothing");
    }
}
