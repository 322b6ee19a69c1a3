"""What the paper's Table 2 compares CMIR-NET with: short codes that make the same item of two modalities meet.

The published table sets binary codes (16 or 32 bits) against embeddings of 16 or 32 floats (512 or 1024 bits);
`codes.storage_bits` counts them. All methods take features of pairs, row i of both belonging to pair i.
"""
