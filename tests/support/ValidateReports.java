import com.pixelmed.validate.DicomSRValidator;

/**
 * PixelMed's SR validator over several files. Its own main takes one, and a start costs seconds.
 *
 * Run as a source file: java --class-path pixelmed.jar ValidateReports.java FILE...
 */
public class ValidateReports {
  public static void main(String[] files) throws Exception {
    DicomSRValidator validator = new DicomSRValidator();
    for (String file : files) {
      System.out.println("File: " + file);
      System.out.print(validator.validate(file));
    }
  }
}
