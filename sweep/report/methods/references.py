"""The literature that the methods of a run cite."""

REFERENCES = {
    "Björck": "Å. Björck & G. H. Golub (1973). Numerical methods for computing angles between "
    "linear subspaces. Mathematics of Computation 27, 579–594.",
    "Boersma": "P. Boersma (1993). Accurate short-term analysis of the fundamental frequency and "
    "the harmonics-to-noise ratio of a sampled sound. Proceedings of the Institute of Phonetic "
    "Sciences 17, 97–110.",
    "Kingma": "D. P. Kingma & J. Ba (2015). Adam: a method for stochastic optimization. ICLR. "
    "arXiv:1412.6980.",
    "Efron": "B. Efron & C. Stein (1981). The jackknife estimate of variance. The Annals of "
    "Statistics 9, 586–596.",
    "Hewitt": "J. Hewitt & P. Liang (2019). Designing and interpreting probes with control tasks. "
    "EMNLP. arXiv:1909.03368.",
    "Hoerl": "A. E. Hoerl & R. W. Kennard (1970). Ridge regression: biased estimation for "
    "nonorthogonal problems. Technometrics 12, 55–67.",
    "Holm": "S. Holm (1979). A simple sequentially rejective multiple test procedure. "
    "Scandinavian Journal of Statistics 6, 65–70.",
    "Hsu": "J. C. Hsu (1984). Constrained simultaneous confidence intervals for multiple "
    "comparisons with the best. The Annals of Statistics 12, 1136–1144.",
    "Korn & Graubard": "E. L. Korn & B. I. Graubard (1998). Confidence intervals for proportions "
    "with small expected number of positive counts estimated from survey data. Survey Methodology "
    "24, 193–201.",
    "Kornblith": "S. Kornblith, M. Norouzi, H. Lee & G. Hinton (2019). Similarity of neural "
    "network representations revisited. ICML. arXiv:1905.00414.",
    "MacKinnon": "J. G. MacKinnon, M. Ø. Nielsen & M. D. Webb (2023). Fast and reliable jackknife "
    "and bootstrap methods for cluster-robust inference. Journal of Applied Econometrics 38, "
    "671–694.",
    "Morcos": "A. S. Morcos, M. Raghu & S. Bengio (2018). Insights on representational similarity "
    "in neural networks with canonical correlation. NeurIPS. arXiv:1806.05759.",
    "Nunez-Elizalde": "A. O. Nunez-Elizalde, A. G. Huth & J. L. Gallant (2019). Voxelwise encoding "
    "models with non-spherical multivariate normal priors. NeuroImage 197, 482–492.",
    "O'Neill": "B. O'Neill (2014). Some useful moment results in sampling problems. The American "
    "Statistician 68, 282–296.",
    "Panayotov": "V. Panayotov, G. Chen, D. Povey & S. Khudanpur (2015). LibriSpeech: an ASR "
    "corpus based on public domain audio books. ICASSP.",
    "Raghu": "M. Raghu, J. Gilmer, J. Yosinski & J. Sohl-Dickstein (2017). SVCCA: singular vector "
    "canonical correlation analysis for deep learning dynamics and interpretability. NeurIPS. "
    "arXiv:1706.05806.",
    "Satterthwaite": "F. E. Satterthwaite (1946). An approximate distribution of estimates of "
    "variance components. Biometrics Bulletin 2, 110–114.",
    "Tsamardinos": "I. Tsamardinos, E. Greasidou & G. Borboudakis (2018). Bootstrapping the "
    "out-of-sample predictions for efficient and accurate cross-validation. Machine Learning 107, "
    "1895–1922.",
    "Varma": "S. Varma & R. Simon (2006). Bias in error estimation when using cross-validation for "
    "model selection. BMC Bioinformatics 7, 91.",
    "Voita": "E. Voita & I. Titov (2020). Information-theoretic probing with minimum description "
    "length. EMNLP. arXiv:2003.12298.",
    "White": "H. White (2000). A reality check for data snooping. Econometrica 68, 1097–1126.",
    "Wolter": "K. M. Wolter (2007). Introduction to variance estimation, 2nd ed. Springer.",
}
"""Citable works, by the first author's name."""
