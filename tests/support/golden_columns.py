"""The columns of every table of a run, in their order: see `test_run_files`."""

COLUMNS = {
    "utterances.csv": (
        "utterance_id audio_path text speaker_id chapter_id split seconds "
        "n_samples audio_digest sex cps duration"
    ),
    "skipped.csv": "utterance_id path reason",
    "canonical.csv": (
        "model layer layer_index probe component correlation correlation_low "
        "correlation_high in_sample n_train n_test n_speakers flagged targets "
        "loadings"
    ),
    "differences.csv": (
        "comparison target probe score model_a layer_a model_b layer_b difference low high p p_holm"
    ),
    "layers.csv": (
        "model layer layer_index level target probe probe_kind target_kind cells missing "
        "missing_control n_test n_speakers seeds folds influential_speaker interval_over r2 r2_low "
        "r2_high mse mse_low mse_high mae mae_low mae_high rmse rmse_low rmse_high "
        "pearson pearson_low pearson_high spearman within_speaker r2_control r2_without_speaker "
        "accuracy accuracy_low accuracy_high balanced_accuracy "
        "balanced_accuracy_low balanced_accuracy_high macro_f1 macro_f1_low "
        "macro_f1_high majority_accuracy accuracy_control "
        "accuracy_without_speaker selectivity mean_mse "
        "mean_mae gain r2_speaker_control accuracy_speaker_control r2_type_control "
        "accuracy_type_control speaker_mean_r2 "
        "speaker_mean_mse speaker_mean_mae speaker_mean_pearson "
        "speaker_mean_accuracy"
    ),
    "metrics.csv": (
        "model layer layer_index target probe seed fold control n_train n_test mse "
        "mae rmse r2 pearson spearman within_speaker mean_mse mean_mae accuracy "
        "balanced_accuracy macro_f1 majority_accuracy validation_mse validation_error "
        "alpha alpha_at_edge seconds cell_id components saturated in_sample iterations "
        "converged unconverged"
    ),
    "models.csv": (
        "model target probe probe_kind target_kind n_layers missing embedding_mse "
        "embedding_r2 embedding_accuracy best_layer best_layer_index best_mse "
        "best_r2 best_r2_low best_r2_high best_r2_honest best_r2_honest_low "
        "best_r2_honest_high best_accuracy best_accuracy_low best_accuracy_high "
        "best_balanced_accuracy best_macro_f1 best_accuracy_honest "
        "best_accuracy_honest_low best_accuracy_honest_high mean_pearson mean_mse "
        "majority_accuracy interval_over"
    ),
    "residuals.csv": "model target probe layer speaker_id n mean_error sd_error rmse",
    "similarity.csv": (
        "measure model_a layer_a layer_index_a model_b layer_b layer_index_b "
        "n_utterances value chance flagged"
    ),
    "tempo.csv": (
        "model layer layer_index target probe slope slope_low slope_high "
        "correlation correlation_low correlation_high shift shift_low shift_high "
        "n_utterances n_speakers cells missing"
    ),
    "tempo_changes.csv": (
        "model layer layer_index target probe factor known_change predicted_change "
        "predicted_change_low predicted_change_high"
    ),
}
